// Numbers as a dtype stores them. Halves are cut, not rounded, which is exact enough to drive a kernel.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../../csrc/varifocal.h"

namespace paddle_vfl {

inline void store(char* to, DType type, double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, 4);
  const uint16_t bfloat = static_cast<uint16_t>(bits >> 16);
  const uint16_t half =
      std::fabs(value) < 1e-4
          ? 0
          : static_cast<uint16_t>(((bits >> 16) & 0x8000) | (((bits & 0x7fffffff) - 0x38000000) >> 13));
  const void* const from = type == DType::kFloat64   ? static_cast<const void*>(&value)
                           : type == DType::kFloat32 ? static_cast<const void*>(&narrow)
                           : type == DType::kFloat16 ? &half
                                                     : &bfloat;
  std::memcpy(to, from, size_of(type));
}

}  // namespace paddle_vfl
