// The CPU kernels for AVX2 with FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#pragma GCC target("avx2,fma,f16c")
#define VFL_ISA          avx2
#define VFL_VECTOR_BYTES 32
#include "kernels.inl"
#endif
