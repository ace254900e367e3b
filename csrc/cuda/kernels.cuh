// The CUDA kernels of the varifocal loss.
//
//   elementwise    one result for each element: the loss without sums, the gradient
//   sum_tiles      the sums of short rows: a block computes a tile of whole rows and adds up what the vectors sum to
//   sum_rows       the sum of a long row by a group of threads
//
// All of them read the predictions and what belongs to them as one flat array in accesses of 16 bytes, whatever the
// number of classes is; a vector may lie across rows. Indices have 32 bits: launch.cuh cuts larger problems into
// slices. The order of additions depends on the shape alone, so the same input gives the same bits.
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
constexpr int kTileTerms = 2048;  // of sum_tiles, at most

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
  // Elements of a vector: 16 bytes of predictions, twice that of float32 where a label has to be searched for. Vectors
  // that a thread of `elementwise` has in flight.
  static constexpr int W = std::is_same<P, float>::value && kPair ? 8 : 16 / sizeof(P);
  static constexpr int kInFlight = W < 8 ? 2 : 1;
};

// Whether all threads of the warp that run together say so: then none of them has to wait for the others' way.
VFL_INLINE bool all_in_warp(bool yes) {
#ifdef __CUDA_ARCH__
  return __all_sync(__activemask(), yes);
#else
  return yes;
#endif
}

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
  static VFL_INLINE Type load(Array array, uint32_t first, int count, bool aligned) {
    return load_any<W, T>(array, first, count, aligned);
  }
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
      if constexpr (F::kPair) label_ = Label(s, row_);
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
    if constexpr (F::kPair) {
      compute_as<Elements::kBackground>(c, result);
      // nearly all vectors have no positive of their first row, and no other row
      if (label_.is(column_, static_cast<uint32_t>(count), s) || column_ + count > s.classes.divisor)
        compute_positives(s, c, result);
    } else if (all_in_warp(is_background())) {
      compute_as<Elements::kBackground>(c, result);
    } else {
      compute_as<F::kElements>(c, result);
    }
    return result;
  }

  const uint32_t first;
  const int count;

 private:
  // The halves of a label, of which one in [0, classes) has nothing in the upper half; little-endian.
  struct Label {
    VFL_INLINE Label() {}
    VFL_INLINE Label(const Slice& s, uint32_t row) {
      const bool wide = s.label.type == DType::kInt64;
      const char* at = static_cast<const char*>(s.label.data) + uint64_t(row) * (wide ? 8u : 4u);
      low = reinterpret_cast<const uint32_t*>(at)[0];
      if (wide) high = reinterpret_cast<const uint32_t*>(at)[1];
    }
    // Whether it is one of `count` classes from `first` on.
    VFL_INLINE bool is(uint32_t first, uint32_t count, const Slice& s) const {
      return low - first < count && low < s.classes.divisor && high == 0;
    }
    uint32_t low = 0, high = 0;
  };

  template <Elements kElements>
  VFL_INLINE void compute_as(const Coefficients<B>& c, Pack<T, W>& result) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const T x = static_cast<T>(x_.number(j));
      T q = 0, y = 0;
      if constexpr (kElements != Elements::kBackground) q = static_cast<T>(q_.number(j));
      if constexpr (kElements == Elements::kMasked) y = static_cast<T>(y_.number(j));
      result.items[j] =
          varifocal<B, F::kLogits, F::kSquare, kElements, kGrad>(x, q, y, kGrad ? upstream_.items[j] : T(1), c);
    }
  }

  // Nearly all vectors are: a shorter path, with the same bits. Probabilities below 0 have to give NaN.
  VFL_INLINE bool is_background() const {
    bool background = is_zero(q_);
    if constexpr (F::kMasked) background = background && is_zero(y_);
    if constexpr (!F::kLogits)
#pragma unroll
      for (int j = 0; j < W; ++j) background = background && static_cast<T>(x_.number(j)) >= 0;
    return background;
  }

  VFL_INLINE void spread_upstream(const Slice& s) {
    uint32_t row = row_, column = column_;
    T value = row_upstream_;
    if (column + W <= s.classes.divisor) {
#pragma unroll
      for (int j = 0; j < W; ++j) upstream_.items[j] = value;
      return;
    }
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
    uint32_t row = row_, column = column_;
    Label label = label_;
    // `begin`: where in the vector the row begins, or goes on with a class that is not its first
    for (uint32_t begin = 0;;) {
      const uint32_t left = static_cast<uint32_t>(count) - begin;
      if (label.is(column, left, s)) {
        const uint32_t at = begin + label.low - column;
        const T q = number_at<T>(s.target, row);
        T x = 0, upstream = 1;
#pragma unroll
        for (uint32_t j = 0; j < W; ++j) {
          if (j != at) continue;
          x = static_cast<T>(x_.number(j));
          if constexpr (kGrad) upstream = upstream_.items[j];
        }
        const T value = varifocal<B, F::kLogits, F::kSquare, Elements::kDense, kGrad>(x, q, T(0), upstream, c);
#pragma unroll
        for (uint32_t j = 0; j < W; ++j) result.items[j] = j == at ? value : result.items[j];
      }
      if (s.classes.divisor - column >= left) return;
      begin += s.classes.divisor - column;
      column = 0;
      label = Label(s, ++row);
    }
  }

  Pack<P, W> x_;
  typename Target::Type q_, y_;
  Pack<T, W> upstream_;
  uint32_t row_ = 0, column_ = 0;  // of the first element
  Label label_;
  T row_upstream_ = 0;
};

template <class F, bool kGrad>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>)
    elementwise(Slice s, Coefficients<typename F::B> c) {
  using Out = std::conditional_t<kGrad, typename F::P, typename F::T>;
  constexpr int W = F::W, kUnroll = F::kInFlight;
  const uint32_t vector = blockIdx.x * (kThreads * kUnroll) + threadIdx.x;
  const auto finish = [&](Vector<F, kGrad>& v) {
    if (v.count == 0) return;
    const Pack<typename F::T, W> result = v.compute(s, c);
    Pack<Out, W> out;
    out.set_numbers(result);
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

// rows_per_tile rows a block; 2^group_bits threads, a warp at most, add up one row. rows_per_tile times the classes is
// a multiple of W where it can be: a vector that lies across tiles is computed by both.
template <class F>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>)
    sum_tiles(Slice s, Coefficients<typename F::B> c, uint32_t rows_per_tile, uint32_t group_bits) {
  using T = typename F::T;
  constexpr int W = F::W;
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
    Vector<F, false> v(s, first);
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
template <class F, int kGroup>
__global__ void __launch_bounds__(kThreads, kBlocks<typename F::T>) sum_rows(Slice s, Coefficients<typename F::B> c) {
  using T = typename F::T;
  constexpr int W = F::W;
  const uint32_t row = blockIdx.x * (kThreads / kGroup) + threadIdx.x / kGroup, lane = threadIdx.x % kGroup;
  const uint32_t begin = row * s.classes.divisor, end = row < s.rows ? begin + s.classes.divisor : begin;
  T sum = 0;
  for (uint32_t first = (begin / W + lane) * W; first < end; first += kGroup * W) {
    Vector<F, false> v(s, first);
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
