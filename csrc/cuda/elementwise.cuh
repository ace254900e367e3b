// One result for each element: the loss without sums, the gradient.
#pragma once

#include "vector.cuh"

namespace paddle_vfl {
namespace cuda {

template <class Traits, bool kGrad>
__global__ void __launch_bounds__(kThreads, kBlocksAtLeast<typename Traits::T>)
    elementwise(Slice s, Coefficients<typename Traits::B> c) {
  using Out = std::conditional_t<kGrad, typename Traits::P, typename Traits::T>;
  constexpr int W = Traits::W, kUnroll = Traits::kInFlight;
  const uint32_t vector = blockIdx.x * (kThreads * kUnroll) + threadIdx.x;
  const auto finish = [&](Vector<Traits, kGrad>& v) {
    if (v.count == 0) return;
    const Pack<typename Traits::T, W> result = v.compute(s, c);
    Pack<Out, W> out;
    out.set_numbers(result);
    store<W>(static_cast<Out*>(s.out), v.first, v.count, s.aligned, out);
  };
  Vector<Traits, kGrad> v(s, vector * W);
  if constexpr (kUnroll == 2) {
    Vector<Traits, kGrad> next(s, (vector + kThreads) * W);
    finish(v);
    finish(next);
  } else {
    finish(v);
  }
}

}  // namespace cuda
}  // namespace paddle_vfl
