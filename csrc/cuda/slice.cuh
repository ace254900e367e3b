// What a kernel is launched on: whole rows of a problem, so few of them that indices have 32 bits.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

#include "backend.cuh"

namespace paddle_vfl {
namespace cuda {

// Division of numbers below 2^31 by a constant.
struct Divisor {
  explicit Divisor(uint32_t d) : divisor(d), bits(0) {
    while ((uint64_t(1) << bits) < d) ++bits;
    factor = static_cast<uint32_t>(((uint64_t(1) << (31 + bits)) + d - 1) / d);
  }
  // the upper half of a product, and a shift, which are two instructions
  VFL_INLINE uint32_t divide(uint32_t n) const {
    return static_cast<uint32_t>((uint64_t(2 * n) * factor) >> 32) >> bits;
  }

  uint32_t divisor, bits, factor;
};

#ifndef VFL_SLICE_ELEMENTS
#define VFL_SLICE_ELEMENTS (int64_t(1) << 30)
#endif
constexpr int64_t kSliceElements = VFL_SLICE_ELEMENTS;

// Whole rows of a problem, at most kSliceElements elements.
struct Slice {
  uint32_t rows, elements;
  Divisor classes;
  const void* pred = nullptr;
  Array target = {}, label = {};       // as in Problem
  const void* class_weight = nullptr;  // as in Problem
  const void* upstream = nullptr;      // the derivative of the result for each row, or for each element
  bool upstream_by_row = false;
  bool aligned = false;  // every array of elements lies on a multiple of 16 bytes
  void* out = nullptr;
};

inline Array advanced(Array array, int64_t elements) {
  if (array.data != nullptr)
    array.data = static_cast<const char*>(array.data) + elements * static_cast<int64_t>(size_of(array.type));
  return array;
}

inline bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// launch(Slice) for every slice of the problem. upstream is null for the loss.
template <bool kGrad, class Function>
void for_each_slice(const Problem& problem, const void* upstream, void* out, const Function& launch) {
  const int64_t classes = problem.classes;
  if (problem.rows == 0 || classes == 0) return;
  if (classes > kSliceElements)
    throw std::runtime_error("pred has " + std::to_string(classes) + " classes; the CUDA kernels take " +
                             std::to_string(kSliceElements) + " at most");
  const DType computed = computed_in(problem.pred.type);
  const size_t out_size = size_of(kGrad ? problem.pred.type : computed);
  const bool pair = problem.kind == TargetKind::kPair, masked = problem.kind == TargetKind::kMasked;
  const bool sums = !kGrad && problem.reduce_rows;
  int64_t step = kSliceElements / classes;
  if (step > 16) step -= step % 16;  // keeps the slices as aligned as the arrays are
  for (int64_t row = 0; row < problem.rows; row += step) {
    const int64_t rows = std::min(step, problem.rows - row), offset = row * classes;
    Slice slice{static_cast<uint32_t>(rows), static_cast<uint32_t>(rows * classes),
                Divisor(static_cast<uint32_t>(classes))};
    slice.pred = advanced(problem.pred, offset).data;
    slice.target = advanced(problem.target, pair ? row : offset);
    slice.label = advanced(problem.label, pair ? row : offset);
    slice.class_weight = problem.class_weight.data;
    slice.upstream_by_row = problem.reduce_rows;
    slice.upstream = advanced({upstream, computed}, slice.upstream_by_row ? row : offset).data;
    slice.out = static_cast<char*>(out) + static_cast<size_t>(sums ? row : offset) * out_size;
    slice.aligned = is_aligned(slice.pred) && (pair || is_aligned(slice.target.data)) &&
                    (!masked || is_aligned(slice.label.data)) &&
                    (!kGrad || slice.upstream_by_row || is_aligned(slice.upstream)) && (sums || is_aligned(slice.out));
    launch(slice);
  }
}

}  // namespace cuda
}  // namespace paddle_vfl
