// A thread's share of the work: a few consecutive elements, loaded and computed together.
#pragma once

#include "kernel_traits.cuh"
#include "slice.cuh"

namespace paddle_vfl {
namespace cuda {

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
template <class Traits, bool kGrad>
class Vector {
  using T = typename Traits::T;
  using P = typename Traits::P;
  using B = typename Traits::B;
  using Formula = typename Traits::Formula;
  static constexpr int W = Traits::W;
  using Target = Loaded<W, T, typename Traits::Q>;

 public:
  VFL_INLINE Vector(const Slice& s, uint32_t first)
      : first(first), count(first < s.elements ? static_cast<int>(min(uint32_t(W), s.elements - first)) : 0) {
    if (count == 0) return;
    x_ = load<W>(static_cast<const P*>(s.pred), first, count, s.aligned);
    if constexpr (!Traits::kPair) q_ = Target::load(s.target, first, count, s.aligned);
    if constexpr (Traits::kMasked) y_ = Target::load(s.label, first, count, s.aligned);
    if (Traits::kPair || (kGrad && s.upstream_by_row)) {
      row_ = s.classes.divide(first);
      column_ = first - row_ * s.classes.divisor;
      if constexpr (Traits::kPair) label_ = Label(s, row_);
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
    // the weights of the classes are asked for where the way is the longer one anyhow
    const bool weighted = s.class_weight != nullptr;
    if constexpr (Traits::kPair) {
      compute_as<Elements::kBackground>(c, result);
      // nearly all vectors have no positive of their first row, and no other row
      if (label_.is(column_, static_cast<uint32_t>(count), s) || column_ + count > s.classes.divisor || weighted) {
        compute_positives(s, c, result);
        if (weighted) weigh(s, result);
      }
    } else if (all_in_warp(is_background() && !weighted)) {
      compute_as<Elements::kBackground>(c, result);
    } else {
      compute_as<Traits::kElements>(c, result);
      if (weighted) weigh(s, result);
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
  static VFL_INLINE T compute_one(T x, T q, T y, T upstream, const Coefficients<B>& c) {
    const LossAndGrad<T> result = varifocal<B, Formula, kElements>(x, q, y, c);
    return kGrad ? result.grad * upstream : result.loss;
  }

  template <Elements kElements>
  VFL_INLINE void compute_as(const Coefficients<B>& c, Pack<T, W>& result) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const T x = static_cast<T>(x_.number(j));
      T q = 0, y = 0;
      if constexpr (kElements != Elements::kBackground) q = static_cast<T>(q_.number(j));
      if constexpr (kElements == Elements::kMasked) y = static_cast<T>(y_.number(j));
      result.items[j] = compute_one<kElements>(x, q, y, upstream_.items[j], c);
    }
  }

  // Nearly all vectors are: a shorter path, with the same bits. Probabilities below 0 have to give NaN.
  VFL_INLINE bool is_background() const {
    bool background = is_zero(q_);
    if constexpr (Traits::kMasked) background = background && is_zero(y_);
    if constexpr (!Formula::kLogits)
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

  VFL_INLINE void weigh(const Slice& s, Pack<T, W>& result) const {
    uint32_t column = first - s.classes.divide(first) * s.classes.divisor;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result.items[j] *= static_cast<const T*>(s.class_weight)[column];
      if (++column == s.classes.divisor) column = 0;
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
        const T value = compute_one<Elements::kDense>(x, q, T(0), upstream, c);
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

}  // namespace cuda
}  // namespace paddle_vfl
