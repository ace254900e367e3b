// The CUDA kernels of the varifocal loss.
//
//   elementwise    one result for each element: the loss without sums, the gradient
//   sum_tiles      the sums of short rows: a block computes a tile of whole rows and adds them up in shared memory
//   sum_rows       the sum of a long row by a group of threads
//
// All of them read the predictions and what belongs to them as one flat array in vectors of 16 bytes, whatever the number of classes is; a
// vector may lie across rows. Indices have 32 bits: launch.cuh cuts larger problems into slices. The order of additions depends on
// the number of classes alone, so the same input gives the same bits.
#pragma once

#include "backend.cuh"
#include "storage.cuh"

namespace paddle_vfl {
namespace cuda {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
// Blocks a multiprocessor holds at least: lets float64, which is not bound by memory, have the registers it wants.
template <class T>
constexpr int kBlocks = std::is_same<T, double>::value ? 2 : 4;
constexpr int kTileElements = 4096;  // of sum_tiles, at most

// Elements in a vector of 16 bytes of predictions, and vectors that a thread of `elementwise` has in flight.
template <class P>
constexpr int kVector = 16 / static_cast<int>(sizeof(P));
template <class P>
constexpr int kInFlight = std::is_same<P, float>::value || std::is_same<P, double>::value ? 2 : 1;

// Division of numbers below 2^31 by a constant.
struct Divisor {
  explicit Divisor(uint32_t d) : divisor(d), shift(31) {
    while ((uint64_t(1) << (shift - 31)) < d) ++shift;
    factor = static_cast<uint32_t>(((uint64_t(1) << shift) + d - 1) / d);
  }
  VFL_INLINE uint32_t divide(uint32_t n) const { return static_cast<uint32_t>((uint64_t(n) * factor) >> shift); }

  uint32_t divisor, shift, factor;
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
  Array target = {}, label = {};   // as in Problem
  const void* upstream = nullptr;  // the derivative of the result for each row, or for each element
  bool upstream_by_row = false;
  bool aligned = false;  // every array of elements lies on a multiple of 16 bytes
  void* out = nullptr;
};

// In place of a storage type: known at run time only.
struct Any {};

template <class T_, class P_, class Q_, bool kLogits_, bool kSquare_, Elements kElements_>
struct Form {
  using T = T_;  // computed in
  using P = P_;  // predictions
  using Q = Q_;  // targets and masks
  using B = Scalar<T>;
  static constexpr bool kLogits = kLogits_, kSquare = kSquare_;
  static constexpr Elements kElements = kElements_;
  static constexpr bool kPair = kElements == Elements::kBackground, kMasked = kElements == Elements::kMasked;
  static constexpr int W = kVector<P>;
};

template <int W, class T, class Q>
struct Loaded {
  using Type = Pack<Q, W>;
  static VFL_INLINE Type load(Array array, uint32_t first, int count, bool aligned) {
    return cuda::load<W>(static_cast<const Q*>(array.data), first, count, aligned);
  }
};
template <int W, class T>
struct Loaded<W, T, Any> {
  using Type = Pack<T, W>;
  static VFL_INLINE Type load(Array array, uint32_t first, int count, bool aligned) { return load_any<W, T>(array, first, count, aligned); }
};

// One vector of elements: loaded first, computed later, so that several loads are in flight.
template <class F, bool kGrad>
class Vector {
  using T = typename F::T;
  using P = typename F::P;
  using B = typename F::B;
  static constexpr int W = F::W;
  using Target = Loaded<W, T, typename F::Q>;

 public:
  VFL_INLINE Vector(const Slice& s, uint32_t first)
      : first(first), count(first < s.elements ? static_cast<int>(min(uint32_t(W), s.elements - first)) : 0) {
    if (count == 0) return;
    x_ = load<W>(static_cast<const P*>(s.pred), first, count, s.aligned);
    if constexpr (!F::kPair) q_ = Target::load(s.target, first, count, s.aligned);
    if constexpr (F::kMasked) y_ = Target::load(s.label, first, count, s.aligned);
    if (F::kPair || (kGrad && s.upstream_by_row)) {
      row_ = s.classes.divide(first);
      column_ = first - row_ * s.classes.divisor;
      if constexpr (F::kPair) label_ = label_of(s, row_);
      if constexpr (kGrad)
        if (s.upstream_by_row) row_upstream_ = static_cast<const T*>(s.upstream)[row_];
    }
    if constexpr (kGrad)
      if (!s.upstream_by_row) upstream_ = load<W>(static_cast<const T*>(s.upstream), first, count, s.aligned);
  }

  // The results; those beyond count are arbitrary.
  VFL_INLINE Pack<T, W> compute(const Slice& s, const Coefficients<B>& c) {
    if constexpr (kGrad)
      if (s.upstream_by_row) spread_upstream(s);
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const T x = to_number<T>(x_.items[j]);
      T q = 0, y = 0;
      if constexpr (!F::kPair) q = to_number<T>(q_.items[j]);
      if constexpr (F::kMasked) y = to_number<T>(y_.items[j]);
      result.items[j] = varifocal<B, F::kLogits, F::kSquare, F::kElements, kGrad>(x, q, y, kGrad ? upstream_.items[j] : T(1), c);
    }
    if constexpr (F::kPair) compute_positives(s, c, result);
    return result;
  }

  const uint32_t first;
  const int count;

 private:
  static VFL_INLINE int64_t label_of(const Slice& s, uint32_t row) {
    return s.label.type == DType::kInt32 ? static_cast<const int32_t*>(s.label.data)[row] : static_cast<const int64_t*>(s.label.data)[row];
  }

  VFL_INLINE void spread_upstream(const Slice& s) {
    uint32_t row = row_, column = column_;
    T value = row_upstream_;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      upstream_.items[j] = value;
      if (++column == s.classes.divisor && j + 1 < count) {
        column = 0;
        value = static_cast<const T*>(s.upstream)[++row];
      }
    }
  }

  // The vector was computed as background; compute once more what has a score: one element of a row at most.
  VFL_INLINE void compute_positives(const Slice& s, const Coefficients<B>& c, Pack<T, W>& result) {
    uint32_t row = row_;
    int64_t label = label_;
    const int classes = static_cast<int>(s.classes.divisor);
    // in the vector, the row begins at `begin`, which is not positive for the first, and ends before `end`
    for (int begin = -static_cast<int>(column_), end = begin + classes;;) {
      const int at = label >= 0 && label < classes ? begin + static_cast<int>(label) : -1;
      if (at >= 0 && at < count) {
        const T q = load_any<1, T>(s.target, row, 1, false).items[0];
        T x = 0, upstream = 1;
#pragma unroll
        for (int j = 0; j < W; ++j) {
          if (j != at) continue;
          x = to_number<T>(x_.items[j]);
          if constexpr (kGrad) upstream = upstream_.items[j];
        }
        const T value = varifocal<B, F::kLogits, F::kSquare, Elements::kDense, kGrad>(x, q, T(0), upstream, c);
#pragma unroll
        for (int j = 0; j < W; ++j) result.items[j] = j == at ? value : result.items[j];
      }
      if (end >= count) return;
      begin = end;
      end += classes;
      label = label_of(s, ++row);
    }
  }

  Pack<P, W> x_;
  typename Target::Type q_, y_;
  Pack<T, W> upstream_;
  uint32_t row_ = 0, column_ = 0;  // of the first element
  int64_t label_ = -1;
  T row_upstream_ = 0;
};

template <class F, bool kGrad>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>) elementwise(Slice s, Coefficients<typename F::B> c) {
  using Out = std::conditional_t<kGrad, typename F::P, typename F::T>;
  constexpr int W = F::W, kUnroll = kInFlight<typename F::P>;
  const uint32_t vector = blockIdx.x * (kThreads * kUnroll) + threadIdx.x;
  const auto finish = [&](Vector<F, kGrad>& v) {
    if (v.count == 0) return;
    const Pack<typename F::T, W> result = v.compute(s, c);
    Pack<Out, W> out;
#pragma unroll
    for (int j = 0; j < W; ++j) set_number(out.items[j], result.items[j]);
    store<W>(static_cast<Out*>(s.out), v.first, v.count, s.aligned, out);
  };
  Vector<F, kGrad> v(s, vector * W);
  if constexpr (kUnroll == 2) {
    Vector<F, kGrad> next(s, (vector + kThreads) * W);
    finish(v);
    finish(next);
  } else {
    finish(v);
  }
}

template <class T>
VFL_INLINE T sum_of_group(T value, int group) {
  for (int step = group / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

// rows_per_tile rows a block; group (a power of 2, at most a warp) threads add up one row. rows_per_tile times the classes is a
// multiple of W where it can be, so that tiles begin on whole vectors; a tile that does not begins within one.
template <class F>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>)
    sum_tiles(Slice s, Coefficients<typename F::B> c, uint32_t rows_per_tile, uint32_t group) {
  using T = typename F::T;
  constexpr int W = F::W;
  __shared__ T terms[kTileElements];
  const uint32_t classes = s.classes.divisor;
  const uint32_t first_row = blockIdx.x * rows_per_tile, rows = min(rows_per_tile, s.rows - first_row);
  const uint32_t begin = first_row * classes, end = begin + rows * classes;
  // where no vector lies across rows, its sum is one term
  const bool whole = classes % W == 0;
  for (uint32_t first = (begin / W + threadIdx.x) * W; first < end; first += kThreads * W) {
    Vector<F, false> v(s, first);
    const Pack<T, W> loss = v.compute(s, c);
    if (whole) {
      T sum = loss.items[0];
#pragma unroll
      for (int j = 1; j < W; ++j) sum += loss.items[j];
      terms[(first - begin) / W] = sum;
    } else {
#pragma unroll
      for (int j = 0; j < W; ++j)
        if (first + j >= begin && first + j < end) terms[first + j - begin] = loss.items[j];
    }
  }
  __syncthreads();
  const uint32_t per_row = whole ? classes / W : classes, lane = threadIdx.x % group, rows_at_once = kThreads / group;
  for (uint32_t base = 0; base < rows; base += rows_at_once) {
    const uint32_t row = base + threadIdx.x / group;
    T sum = 0;
    if (row < rows)
      for (uint32_t i = lane; i < per_row; i += group) sum += terms[row * per_row + i];
    sum = sum_of_group(sum, static_cast<int>(group));
    if (row < rows && lane == 0) static_cast<T*>(s.out)[first_row + row] = sum;
  }
}

// kGroup threads a row: a warp, or a block.
template <class F, int kGroup>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>) sum_rows(Slice s, Coefficients<typename F::B> c) {
  using T = typename F::T;
  constexpr int W = F::W;
  const uint32_t row = blockIdx.x * (kThreads / kGroup) + threadIdx.x / kGroup, lane = threadIdx.x % kGroup;
  const uint32_t begin = row * s.classes.divisor, end = row < s.rows ? begin + s.classes.divisor : begin;
  T sum = 0;
#pragma unroll 2
  for (uint32_t first = (begin / W + lane) * W; first < end; first += kGroup * W) {
    Vector<F, false> v(s, first);
    const Pack<T, W> loss = v.compute(s, c);
#pragma unroll
    for (int j = 0; j < W; ++j) sum += first + j >= begin && first + j < end ? loss.items[j] : T(0);
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
