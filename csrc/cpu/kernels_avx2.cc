// The CPU kernels for AVX2 with FMA.
#include "before_target.h"

#ifdef VFL_X86_KERNELS
#pragma GCC target("avx2,fma,f16c")
#define VFL_ISA          avx2
#define VFL_VECTOR_BYTES 32
#include "kernels.inl"
#endif
