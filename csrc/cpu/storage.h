// The storage types: vectors of float or double read from and written to arrays of them. Included by kernels.inl.
#pragma once

#include <cstdint>
#include <cstring>

#include "../dispatch.h"
#include "simd.h"

namespace paddle_vfl {
namespace VFL_ISA {

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <>
struct Storage<DType::kFloat16> {
  using Type = Float16;
};
template <>
struct Storage<DType::kBFloat16> {
  using Type = BFloat16;
};

inline float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16;
  const uint32_t magnitude = h & 0x7fff;
  float value;
  if (magnitude >= 0x7c00) {  // inf, NaN
    const uint32_t b = 0x7f800000 | (magnitude & 0x3ff) << 13;
    std::memcpy(&value, &b, 4);
  } else {  // the exponent is too small by 112; the product is exact, subnormals included
    const uint32_t b = magnitude << 13;
    std::memcpy(&value, &b, 4);
    value *= 5.192296858534828e33f;  // 2^112
  }
  uint32_t b;
  std::memcpy(&b, &value, 4);
  b |= sign;
  std::memcpy(&value, &b, 4);
  return value;
}

inline uint16_t float_to_half(float f) {
  uint32_t b;
  std::memcpy(&b, &f, 4);
  const uint16_t sign = (b >> 16) & 0x8000;
  b &= 0x7fffffff;
  if (b > 0x7f800000) return sign | 0x7e00;   // NaN
  if (b >= 0x477ff000) return sign | 0x7c00;  // rounds to inf
  if (b < 0x38800000) {                       // subnormal: let the adder round
    float magnitude;
    std::memcpy(&magnitude, &b, 4);
    magnitude += 0.5f;
    std::memcpy(&b, &magnitude, 4);
    return sign | (b - 0x3f000000);
  }
  const uint32_t odd = (b >> 13) & 1;
  return sign | ((b - 0x38000000 + 0xfff + odd) >> 13);
}

inline float bfloat16_to_float(uint16_t h) {
  const uint32_t b = uint32_t(h) << 16;
  float value;
  std::memcpy(&value, &b, 4);
  return value;
}

inline uint16_t float_to_bfloat16(float f) {
  uint32_t b;
  std::memcpy(&b, &f, 4);
  const uint32_t rounded = (b + 0x7fff + ((b >> 16) & 1)) >> 16;
  return (b & 0x7fffffff) > 0x7f800000 ? (b >> 16) | 0x40 : rounded;
}

inline float to_number(Float16 h) { return half_to_float(h.bits); }
inline float to_number(BFloat16 h) { return bfloat16_to_float(h.bits); }
inline float to_number(float f) { return f; }
inline double to_number(double f) { return f; }

// rounded to nearest even
inline void set_number(Float16& h, float f) { h.bits = float_to_half(f); }
inline void set_number(BFloat16& h, float f) { h.bits = float_to_bfloat16(f); }
inline void set_number(float& h, float f) { h = f; }
inline void set_number(double& h, double f) { h = f; }

#if VFL_VECTOR_BYTES == 64

// word 2 i + 1 from word i, and word i from word 2 i + 1
VFL_INLINE __m512i spread() {
  typedef int16_t Words __attribute__((vector_size(64)));
  return reinterpret_cast<__m512i>(
      Words{0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15});
}
VFL_INLINE __m512i gather_upper() {
  typedef int16_t Words __attribute__((vector_size(64)));
  return reinterpret_cast<__m512i>(Words{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31});
}
VFL_INLINE __m512 load_half(const Float16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
VFL_INLINE __m512 load_half(const BFloat16* p) {
  const __m512i words = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_castsi512_ps(
      _mm512_maskz_permutexvar_epi16(0xaaaaaaaa, spread(), words));  // each word the upper half of a float
}
VFL_INLINE void store_half(Float16* p, __m512 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
VFL_INLINE void store_half(BFloat16* p, __m512 v) {
  // every NaN becomes the one with no lower bits, which rounding leaves as it is
  const __m512i bits = _mm512_castps_si512(_mm512_fixupimm_ps(v, v, _mm512_set1_epi32(0x33), 0));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i upper = _mm512_permutexvar_epi16(gather_upper(), rounded);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(upper));
}

#elif VFL_VECTOR_BYTES == 32

VFL_INLINE __m256 load_half(const Float16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
VFL_INLINE __m256 load_half(const BFloat16* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
VFL_INLINE void store_half(Float16* p, __m256 v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
VFL_INLINE void store_half(BFloat16* p, __m256 v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 unordered = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
  const __m256i result =
      _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(nan), unordered));
  const __m256i words = _mm256_srli_epi32(result, 16);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

#else

template <class S>
VFL_INLINE Simd<float>::V load_half(const S* p) {
  Simd<float>::V v;
  for (int i = 0; i < Simd<float>::kLanes; ++i) v[i] = to_number(p[i]);
  return v;
}
template <class S>
VFL_INLINE void store_half(S* p, Simd<float>::V v) {
  for (int i = 0; i < Simd<float>::kLanes; ++i) set_number(p[i], v[i]);
}

#endif

// A vector of T from as many elements of the storage type S, and back.
template <class T, class S>
VFL_INLINE typename Simd<T>::V load(const S* p) {
  if constexpr (sizeof(T) == sizeof(S)) {
    return Simd<T>::load(p);
  } else {
    return load_half(p);
  }
}

template <class T, class S>
VFL_INLINE void store(S* p, typename Simd<T>::V v) {
  if constexpr (sizeof(T) == sizeof(S)) {
    Simd<T>::store(p, v);
  } else {
    store_half(p, v);
  }
}

// out[0, n) = in[offset, offset + n)
template <class T>
void widen(Array in, int64_t offset, int n, T* out) {
  dispatch(FloatingTypes(), in.type, [=](auto type) {
    const auto* from = static_cast<const Stored<decltype(type)::value>*>(in.data) + offset;
    for (int i = 0; i < n; ++i) out[i] = static_cast<T>(to_number(from[i]));
  });
}

}  // namespace VFL_ISA
}  // namespace paddle_vfl
