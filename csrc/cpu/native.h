// What the instruction sets do in one instruction where vector extensions need several. Included by simd.h.
//
// kScales: there are scale (x 2^n for integral n, any size), exponent and mantissa (x = 2^exponent mantissa with the
// mantissa in [1, 2); here 2^k mantissa with the mantissa in [3/4, 3/2)). They do right by zeros, subnormals, NaN and
// negative numbers.
#pragma once

#include <cmath>

namespace paddle_vfl {
namespace VFL_ISA {
namespace native {

// whether the compiler fuses a product and a sum
#if VFL_VECTOR_BYTES > 16 || defined(__FMA__) || defined(__aarch64__)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif

#if VFL_VECTOR_BYTES == 64

constexpr bool kScales = true;
// max returns its second operand if there is a NaN
VFL_INLINE __m512 at_least(__m512 x, __m512 limit) { return _mm512_max_ps(limit, x); }
VFL_INLINE __m512d at_least(__m512d x, __m512d limit) { return _mm512_max_pd(limit, x); }
// an estimate of 14 bits and one step of Newton
VFL_INLINE __m512 reciprocal(__m512 x) {
  const __m512 r = _mm512_rcp14_ps(x);
  return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(1.0f)), r);
}
VFL_INLINE __m512d reciprocal(__m512d x) { return 1.0 / x; }
VFL_INLINE __m512 sqrt(__m512 x) { return _mm512_sqrt_ps(x); }
VFL_INLINE __m512d sqrt(__m512d x) { return _mm512_sqrt_pd(x); }
VFL_INLINE bool no_bits(__m512i x) { return _mm512_test_epi64_mask(x, x) == 0; }
VFL_INLINE __m512 scale(__m512 x, __m512 n) { return _mm512_scalef_ps(x, n); }
VFL_INLINE __m512d scale(__m512d x, __m512d n) { return _mm512_scalef_pd(x, n); }
VFL_INLINE __m512 exponent(__m512 x) { return _mm512_getexp_ps(x); }
VFL_INLINE __m512d exponent(__m512d x) { return _mm512_getexp_pd(x); }
VFL_INLINE __m512 mantissa(__m512 x) { return _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan); }
VFL_INLINE __m512d mantissa(__m512d x) { return _mm512_getmant_pd(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan); }

#else

constexpr bool kScales = false;
template <class V>
VFL_INLINE V reciprocal(V x) {
  return decltype(x[0] + 0)(1) / x;
}
// never called, but simd.h names them
template <class V>
V scale(V, V);
template <class V>
V exponent(V);
template <class V>
V mantissa(V);

#if VFL_VECTOR_BYTES == 32
VFL_INLINE __m256 at_least(__m256 x, __m256 limit) { return _mm256_max_ps(limit, x); }
VFL_INLINE __m256d at_least(__m256d x, __m256d limit) { return _mm256_max_pd(limit, x); }
VFL_INLINE __m256 sqrt(__m256 x) { return _mm256_sqrt_ps(x); }
VFL_INLINE __m256d sqrt(__m256d x) { return _mm256_sqrt_pd(x); }
VFL_INLINE bool no_bits(__m256i x) { return _mm256_testz_si256(x, x); }
#else
template <class V>
VFL_INLINE V at_least(V x, V limit) {
  return limit > x ? limit : x;
}
template <class V>
VFL_INLINE V sqrt(V x) {
  for (size_t i = 0; i < sizeof(V) / sizeof(x[0]); ++i) x[i] = std::sqrt(x[i]);
  return x;
}
typedef long long Int64x2 __attribute__((vector_size(16)));
VFL_INLINE bool no_bits(Int64x2 x) { return (x[0] | x[1]) == 0; }
#endif
#endif

}  // namespace native
}  // namespace VFL_ISA
}  // namespace paddle_vfl
