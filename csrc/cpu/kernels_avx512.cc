// The CPU kernels for AVX-512.
#include "before_target.h"

#ifdef VFL_X86_KERNELS
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif
#define VFL_ISA          avx512
#define VFL_VECTOR_BYTES 64
#include "kernels.inl"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
