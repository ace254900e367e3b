// Chooses the kernels for a problem and launches them.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <tuple>

#include "check.h"
#include "elementwise.cuh"
#include "kernels.h"
#include "row_sums.cuh"
#include "slice.cuh"

namespace paddle_vfl {
namespace cuda {

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

template <class Traits, bool kGrad>
void launch_elementwise(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const uint32_t per_block = kThreads * Traits::kInFlight * Traits::W;
  launch("elementwise", elementwise<Traits, kGrad>, (slice.elements + per_block - 1) / per_block, stream, slice,
         Coefficients<typename Traits::B>(problem));
}

// Threads to add up one row of `terms`, as a power of 2: about 8 terms each, a warp at most.
inline uint32_t group_bits(uint32_t terms) {
  uint32_t bits = 0;
  while ((1 << bits) < kWarp && (8u << bits) < terms) ++bits;
  return bits;
}

template <class Traits>
void launch_sums(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  const Coefficients<typename Traits::B> coefficients(problem);
  const uint32_t classes = slice.classes.divisor;
  constexpr uint32_t kLongRow = 1024, kHugeRow = 8192;
  if (classes > kHugeRow) {
    launch("sum_rows (block)", sum_rows<Traits, kThreads>, slice.rows, stream, slice, coefficients);
  } else if (classes > kLongRow) {
    constexpr uint32_t kRows = kThreads / kWarp;
    launch("sum_rows (warp)", sum_rows<Traits, kWarp>, (slice.rows + kRows - 1) / kRows, stream, slice, coefficients);
  } else {
    // two terms for a vector, or one for each element of the shortest rows
    const uint32_t elements = classes >= Traits::W ? kTileTerms / 2 * Traits::W : kTileTerms,
                   terms = classes >= Traits::W ? classes / Traits::W + 1 : classes;
    // a multiple of 16 rows is a whole number of vectors for every type; small problems are spread over more blocks
    constexpr uint32_t kEnoughBlocks = 2048;
    const uint32_t most = elements / classes, wanted = (slice.rows + kEnoughBlocks - 1) / kEnoughBlocks;
    const uint32_t step = most >= 16 ? 16 : most >= 8 ? 8 : most >= 4 ? 4 : 1;
    const uint32_t rows = std::min(most / step, std::max((wanted + step - 1) / step, 1u)) * step;
    launch("sum_tiles", sum_tiles<Traits>, (slice.rows + rows - 1) / rows, stream, slice, coefficients, rows,
           group_bits(terms));
  }
}

// upstream is null for the loss.
template <DType kPred, bool kGrad>
void run(const Problem& given, const void* upstream, void* out, cudaStream_t stream) {
  const Problem problem = flattened(given);
  for_each_slice<kGrad>(problem, upstream, out, [&](const Slice& slice) {
    dispatch_kind_and_formula(problem, [&](auto kind, auto formula) {
      dispatch(OneOf<true, false>(), has_one_dtype(problem), [&](auto one_dtype) {
        constexpr TargetKind kKind = decltype(kind)::value;
        constexpr bool kOneDType = decltype(one_dtype)::value || kKind == TargetKind::kPair;
        using Traits = KernelTraits<kPred, kOneDType, kKind, decltype(formula)>;
        if constexpr (!kGrad)
          if (problem.reduce_rows) return launch_sums<Traits>(problem, slice, stream);
        launch_elementwise<Traits, kGrad>(problem, slice, stream);
      });
    });
  });
}

template <DType kPred>
void Kernels<kPred>::forward(const Problem& problem, void* loss, cudaStream_t stream) {
  run<kPred, false>(problem, nullptr, loss, stream);
}

template <DType kPred>
void Kernels<kPred>::backward(const Problem& problem, const void* grad_loss, void* grad_pred, cudaStream_t stream) {
  run<kPred, true>(problem, grad_loss, grad_pred, stream);
}

}  // namespace cuda
}  // namespace paddle_vfl
