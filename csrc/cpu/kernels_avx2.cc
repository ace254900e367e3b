// The CPU kernels for AVX2 with FMA.
#include "before_target.h"

#ifdef VFL_X86_KERNELS
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#define VFL_ISA          avx2
#define VFL_VECTOR_BYTES 32
#include "kernels.inl"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
