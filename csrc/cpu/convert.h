// Reading and writing arrays of the storage types as vectors of float or double. Included by kernels.inl.
#pragma once

#include <cstdint>
#include <cstring>

#include "../varifocal.h"
#include "simd.h"

namespace paddle_vfl {
namespace VFL_ISA {

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

// out[0, n) = in[offset, offset + n)
template <class T>
void widen(Array in, int64_t offset, int n, T* out) {
  switch (in.type) {
    case DType::kFloat32: {
      const float* p = static_cast<const float*>(in.data) + offset;
      for (int i = 0; i < n; ++i) out[i] = static_cast<T>(p[i]);
      break;
    }
    case DType::kFloat64: {
      const double* p = static_cast<const double*>(in.data) + offset;
      for (int i = 0; i < n; ++i) out[i] = static_cast<T>(p[i]);
      break;
    }
    case DType::kFloat16: {
      const uint16_t* p = static_cast<const uint16_t*>(in.data) + offset;
      int i = 0;
#ifdef VFL_F16C
      for (; i + 8 <= n; i += 8) {
        typedef float Eight __attribute__((vector_size(32)));
        const Eight v = reinterpret_cast<Eight>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i))));
        for (int k = 0; k < 8; ++k) out[i + k] = static_cast<T>(v[k]);
      }
#endif
      for (; i < n; ++i) out[i] = static_cast<T>(half_to_float(p[i]));
      break;
    }
    case DType::kBFloat16: {
      const uint16_t* p = static_cast<const uint16_t*>(in.data) + offset;
      for (int i = 0; i < n; ++i) out[i] = static_cast<T>(bfloat16_to_float(p[i]));
      break;
    }
    default:  // integers are class labels, never values
      break;
  }
}

// out[offset, offset + n) = in[0, n), rounded to nearest even
template <class T>
void narrow(const T* in, int n, DType type, void* out, int64_t offset) {
  switch (type) {
    case DType::kFloat16: {
      uint16_t* p = static_cast<uint16_t*>(out) + offset;
      int i = 0;
#ifdef VFL_F16C
      if constexpr (sizeof(T) == 4) {
        for (; i + 8 <= n; i += 8)
          _mm_storeu_si128(reinterpret_cast<__m128i*>(p + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
      }
#endif
      for (; i < n; ++i) p[i] = float_to_half(static_cast<float>(in[i]));
      break;
    }
    case DType::kBFloat16: {
      uint16_t* p = static_cast<uint16_t*>(out) + offset;
      for (int i = 0; i < n; ++i) p[i] = float_to_bfloat16(static_cast<float>(in[i]));
      break;
    }
    default: {  // float and double are computed in their own type
      std::memcpy(static_cast<T*>(out) + offset, in, n * sizeof(T));
      break;
    }
  }
}

}  // namespace VFL_ISA
}  // namespace paddle_vfl
