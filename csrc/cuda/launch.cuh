// Chooses the kernels for a problem and launches them.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

#include "kernels.cuh"

namespace paddle_vfl {
namespace cuda {

inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorName(status) + ": " +
                             cudaGetErrorString(status));
}

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), uint32_t blocks, cudaStream_t stream,
            const Arguments&... arguments) {
  std::tuple<Parameters...> values{arguments...};
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {&value...};
        check(cudaLaunchKernel(kernel, dim3(blocks), dim3(kThreads), pointers, 0, stream), name);
      },
      values);
}

template <class F, bool kGrad>
void launch_elementwise(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const uint32_t per_block = kThreads * F::kInFlight * F::W;
  launch("elementwise", elementwise<F, kGrad>, (slice.elements + per_block - 1) / per_block, stream, slice,
         Coefficients<typename F::B>(problem));
}

// Threads to add up one row of `terms`, as a power of 2: about 8 terms each, a warp at most.
inline uint32_t group_bits(uint32_t terms) {
  uint32_t bits = 0;
  while ((1 << bits) < kWarp && (8u << bits) < terms) ++bits;
  return bits;
}

template <class F>
void launch_sums(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const Coefficients<typename F::B> coefficients(problem);
  const uint32_t classes = slice.classes.divisor;
  constexpr uint32_t kLongRow = 1024, kHugeRow = 8192;
  if (classes > kHugeRow) {
    launch("sum_rows (block)", sum_rows<F, kThreads>, slice.rows, stream, slice, coefficients);
  } else if (classes > kLongRow) {
    constexpr uint32_t kRows = kThreads / kWarp;
    launch("sum_rows (warp)", sum_rows<F, kWarp>, (slice.rows + kRows - 1) / kRows, stream, slice, coefficients);
  } else {
    // two terms for a vector, or one for each element of the shortest rows
    const uint32_t elements = classes >= F::W ? kTileTerms / 2 * F::W : kTileTerms,
                   terms = classes >= F::W ? classes / F::W + 1 : classes;
    // a multiple of 16 rows is a whole number of vectors for every type; small problems are spread over more blocks
    constexpr uint32_t kBlocks = 2048;
    const uint32_t most = elements / classes, wanted = (slice.rows + kBlocks - 1) / kBlocks;
    const uint32_t step = most >= 16 ? 16 : most >= 8 ? 8 : most >= 4 ? 4 : 1;
    const uint32_t rows = std::min(most / step, std::max((wanted + step - 1) / step, 1u)) * step;
    launch("sum_tiles", sum_tiles<F>, (slice.rows + rows - 1) / rows, stream, slice, coefficients, rows,
           group_bits(terms));
  }
}

template <class P, class Q, bool kGrad, Elements kElements, bool kLogits, bool kSquare>
void launch_form(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  using F = Form<Computed<P>, P, Q, kLogits, kSquare, kElements>;
  if constexpr (kGrad) {
    launch_elementwise<F, true>(problem, slice, stream);
  } else {
    if (problem.reduce_rows)
      launch_sums<F>(problem, slice, stream);
    else
      launch_elementwise<F, false>(problem, slice, stream);
  }
}

template <class P, class Q, bool kGrad, Elements kElements>
void launch_slice(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const bool square = problem.gamma == 2;
  if (problem.use_sigmoid)
    square ? launch_form<P, Q, kGrad, kElements, true, true>(problem, slice, stream)
           : launch_form<P, Q, kGrad, kElements, true, false>(problem, slice, stream);
  else
    square ? launch_form<P, Q, kGrad, kElements, false, true>(problem, slice, stream)
           : launch_form<P, Q, kGrad, kElements, false, false>(problem, slice, stream);
}

template <class P, bool kGrad>
void launch_slice(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const DType own = problem.pred.type;
  const bool same = problem.target.type == own && (problem.kind == TargetKind::kDense || problem.label.type == own);
  switch (problem.kind) {
    case TargetKind::kDense:
      return same ? launch_slice<P, P, kGrad, Elements::kDense>(problem, slice, stream)
                  : launch_slice<P, Any, kGrad, Elements::kDense>(problem, slice, stream);
    case TargetKind::kMasked:
      return same ? launch_slice<P, P, kGrad, Elements::kMasked>(problem, slice, stream)
                  : launch_slice<P, Any, kGrad, Elements::kMasked>(problem, slice, stream);
    case TargetKind::kPair: return launch_slice<P, P, kGrad, Elements::kBackground>(problem, slice, stream);
  }
}

inline size_t size_of(DType type) {
  switch (type) {
    case DType::kFloat64:
    case DType::kInt64: return 8;
    case DType::kFloat16:
    case DType::kBFloat16: return 2;
    default: return 4;
  }
}

inline Array advanced(Array array, int64_t elements) {
  if (array.data != nullptr)
    array.data = static_cast<const char*>(array.data) + elements * static_cast<int64_t>(size_of(array.type));
  return array;
}

inline bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// upstream: null for the loss.
template <class P, bool kGrad>
void run(const Problem& given, const void* upstream, void* out, cudaStream_t stream) {
  Problem problem = given;
  const bool pair = problem.kind == TargetKind::kPair;
  if (!problem.reduce_rows && !pair) {  // without sums the rows do not matter, only the elements
    problem.rows *= problem.classes;
    problem.classes = 1;
  }
  const int64_t classes = problem.classes;
  if (problem.rows == 0 || classes == 0) return;
  if (classes > kSliceElements)
    throw std::runtime_error("pred has " + std::to_string(classes) + " classes; the CUDA kernels take " +
                             std::to_string(kSliceElements) + " at most");
  const bool upstream_by_row = problem.reduce_rows;
  const Array upstream_array{upstream, sizeof(Computed<P>) == 8 ? DType::kFloat64 : DType::kFloat32};
  const Array out_array{out, kGrad ? problem.pred.type : upstream_array.type};
  int64_t step = kSliceElements / classes;
  if (step > 16) step -= step % 16;  // keeps the slices as aligned as the arrays are
  for (int64_t row = 0; row < problem.rows; row += step) {
    const int64_t rows = std::min(step, problem.rows - row), offset = row * classes;
    Slice slice{static_cast<uint32_t>(rows), static_cast<uint32_t>(rows * classes),
                Divisor(static_cast<uint32_t>(classes))};
    slice.pred = advanced(problem.pred, offset).data;
    slice.target = advanced(problem.target, pair ? row : offset);
    slice.label = advanced(problem.label, pair ? row : offset);
    slice.upstream_by_row = upstream_by_row;
    slice.upstream = advanced(upstream_array, upstream_by_row ? row : offset).data;
    slice.out = const_cast<void*>(advanced(out_array, !kGrad && problem.reduce_rows ? row : offset).data);
    slice.aligned = is_aligned(slice.pred) &&
                    (pair || (is_aligned(slice.target.data) &&
                              (problem.kind == TargetKind::kDense || is_aligned(slice.label.data)))) &&
                    (!kGrad || upstream_by_row || is_aligned(slice.upstream)) &&
                    ((!kGrad && problem.reduce_rows) || is_aligned(slice.out));
    launch_slice<P, kGrad>(problem, slice, stream);
  }
}

template <class P>
void forward(const Problem& problem, void* loss, cudaStream_t stream) {
  run<P, false>(problem, nullptr, loss, stream);
}

template <class P>
void backward(const Problem& problem, const void* grad_loss, void* grad_pred, cudaStream_t stream) {
  run<P, true>(problem, grad_loss, grad_pred, stream);
}

}  // namespace cuda
}  // namespace paddle_vfl
