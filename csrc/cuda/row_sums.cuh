// The sums of the rows: sum_tiles for short ones, sum_rows for long ones.
#pragma once

#include "vector.cuh"

namespace paddle_vfl {
namespace cuda {

constexpr int kTileTerms = 2048;  // of sum_tiles, at most

template <class T>
VFL_INLINE T sum_of_group(T value, int group) {
  for (int step = group / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

// rows_per_tile rows a block; 2^group_bits threads, a warp at most, add up one row. rows_per_tile times the classes is
// a multiple of W where it can be: a vector that lies across tiles is computed by both.
template <class Traits>
__global__ void __launch_bounds__(kThreads, kBlocksAtLeast<typename Traits::T>)
    sum_tiles(Slice s, Coefficients<typename Traits::B> c, uint32_t rows_per_tile, uint32_t group_bits) {
  using T = typename Traits::T;
  constexpr int W = Traits::W;
  constexpr uint32_t kVectors = kTileTerms / 2 + 1;
  __shared__ __align__(16) T terms[2 * kVectors];
  const uint32_t classes = s.classes.divisor;
  const uint32_t first_row = blockIdx.x * rows_per_tile, rows = min(rows_per_tile, s.rows - first_row);
  const uint32_t begin = first_row * classes, end = begin + rows * classes, origin = begin - begin % W;
  // A vector of W classes or more lies in two rows at most: the sum of what belongs to the first is one term, the rest
  // is another.
  const bool two_rows = classes >= W;
  T *heads = terms, *tails = terms + kVectors;
  for (uint32_t first = origin + threadIdx.x * W; first < end; first += kThreads * W) {
    Vector<Traits, false> v(s, first);
    const Pack<T, W> loss = v.compute(s, c);
    if (two_rows) {
      const int left = static_cast<int>(
          min(classes - (first - s.classes.divide(first) * classes), uint32_t(W)));  // of the first row
      T head = loss.items[0], tail = 0;
      if (left == W) {
#pragma unroll
        for (int j = 1; j < W; ++j) head += loss.items[j];
      } else {
#pragma unroll
        for (int j = 1; j < W; ++j) (j < left ? head : tail) += loss.items[j];
      }
      heads[(first - origin) / W] = head;
      tails[(first - origin) / W] = tail;
    } else {
      *reinterpret_cast<Pack<T, W>*>(terms + (first - origin)) = loss;
    }
  }
  __syncthreads();
  const uint32_t group = 1 << group_bits, lane = threadIdx.x % group, rows_at_once = kThreads >> group_bits;
  for (uint32_t base = 0; base < rows; base += rows_at_once) {
    const uint32_t row = base + (threadIdx.x >> group_bits);
    const uint32_t from = begin - origin + row * classes, to = row < rows ? from + classes : 0;
    T sum = 0;
    if (two_rows) {
      for (uint32_t i = from / W + lane; i * W < to; i += group) sum += i * W < from ? tails[i] : heads[i];
    } else {
      for (uint32_t i = from + lane; i < to; i += group) sum += terms[i];
    }
    sum = sum_of_group(sum, static_cast<int>(group));
    if (row < rows && lane == 0) static_cast<T*>(s.out)[first_row + row] = sum;
  }
}

// kGroup threads a row: a warp, or a block.
template <class Traits, int kGroup>
__global__ void __launch_bounds__(kThreads, kBlocksAtLeast<typename Traits::T>)
    sum_rows(Slice s, Coefficients<typename Traits::B> c) {
  using T = typename Traits::T;
  constexpr int W = Traits::W;
  const uint32_t row = blockIdx.x * (kThreads / kGroup) + threadIdx.x / kGroup, lane = threadIdx.x % kGroup;
  const uint32_t begin = row * s.classes.divisor, end = row < s.rows ? begin + s.classes.divisor : begin;
  T sum = 0;
  for (uint32_t first = (begin / W + lane) * W; first < end; first += kGroup * W) {
    Vector<Traits, false> v(s, first);
    const Pack<T, W> loss = v.compute(s, c);
    if (first >= begin && first + W <= end) {
#pragma unroll
      for (int j = 0; j < W; ++j) sum += loss.items[j];
    } else {
#pragma unroll
      for (int j = 0; j < W; ++j)
        if (first + j >= begin && first + j < end) sum += loss.items[j];
    }
  }
  sum = sum_of_group(sum, kWarp);
  if constexpr (kGroup > kWarp) {
    __shared__ T warps[kGroup / kWarp];
    if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int i = 0; i < kGroup / kWarp; ++i) sum += warps[i];
  }
  if (row < s.rows && lane == 0) static_cast<T*>(s.out)[row] = sum;
}

}  // namespace cuda
}  // namespace paddle_vfl
