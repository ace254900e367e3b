// Varifocal loss of one element, or another loss of its family, and the derivative with respect to the prediction,
// written once for the vectors of the CPU kernels and the scalars of the CUDA kernels.
//
// A backend B supplies the value type V (a vector of T, or T), whose operators work element by element, kFused, whether
// a product and a sum are rounded once, and the functions
//   exp_nonpositive(V)       e^x for x <= 0
//   log1p_unit(V)            log(1 + x) for x in [0, 1]
//   log(V)                   natural logarithm; -inf at 0, NaN below
//   pow(V, Exponent)         x^t for x > 0
//   sqrt(V)                  square root
//   reciprocal(V)            1 / x
//   abs(V), negative_abs(V)  |x|, -|x|
//   at_least(V, T)           max(x, limit)
//   all_background(x, q, y)  whether q and y are 0 and x is not below 0 in every element; no is always safe
// NaN passes through all of them but pow.
#pragma once

#include <cmath>
#include <limits>

#include "varifocal.h"

#ifndef VFL_ISA
#error "VFL_ISA, the namespace of the backend, comes first: include backend.cuh or kernels.inl"
#endif
#ifndef VFL_INLINE
#define VFL_INLINE inline __attribute__((always_inline))
#define VFL_SELDOM __attribute__((noinline))  // in one place, since few elements need it
#endif

namespace paddle_vfl {
namespace VFL_ISA {

// What is settled of the formula when a kernel is compiled. Everything else is in Coefficients.
template <bool kLogits_, bool kSquare_>
struct Formula {
  static constexpr bool kLogits = kLogits_;  // the predictions are logits
  static constexpr bool kSquare = kSquare_;  // gamma is 2, and is_varifocal
};

// What is known of elements that are computed together.
enum class Elements {
  kDense,       // positive where q > 0
  kMasked,      // positive by the share y
  kBackground,  // all negative with q = 0; q and y are not read
};

// How a kernel computes the elements of a target kind. All elements of pairs are computed as background, and then the
// positives, at most one in a row, once more as dense ones.
constexpr Elements elements_of(TargetKind kind) {
  return kind == TargetKind::kDense    ? Elements::kDense
         : kind == TargetKind::kMasked ? Elements::kMasked
                                       : Elements::kBackground;
}

// x^t for a constant t and x > 0. Multiples of 1/2 from 0 to 8 are computed by products and a square root.
template <class B>
class Power {
 public:
  explicit Power(double t)
      : halves_(t >= 0 && t <= 8 && 2 * t == std::nearbyint(2 * t) ? static_cast<int>(2 * t) : -1), exponent_(t) {}

  VFL_INLINE typename B::V operator()(typename B::V x) const {
    if (halves_ < 0) return B::pow(x, exponent_);
    typename B::V power = typename B::V{} + typename B::T(1);
    for (int i = halves_; i > 1; i -= 2) power *= x;
    return halves_ & 1 ? power * B::sqrt(x) : power;
  }

 private:
  int halves_;
  typename B::Exponent exponent_;
};

template <class B>
struct Coefficients {
  using T = typename B::T;

  explicit Coefficients(const Problem& problem)
      : alpha(static_cast<T>(problem.alpha)),
        slope(static_cast<T>(problem.detach_weight ? 0 : problem.alpha * problem.gamma)),
        positive_q(problem.positive_weight == PositiveWeight::kScore ? T(1) : T(0)),
        positive_1(problem.positive_weight == PositiveWeight::kOne ? T(1) : T(0)),
        positive_slope(static_cast<T>(problem.detach_weight ? 0 : problem.gamma)),
        smallest(std::numeric_limits<T>::min()),
        power_at_0(problem.gamma == 0 ? T(1) : T(0)),
        power(problem.gamma - 1),
        has_target_power(problem.target_power != 1),
        modulated(problem.positive_weight == PositiveWeight::kModulated),
        target_power(problem.target_power) {}

  T alpha;
  T slope;                   // alpha gamma, 0 where the weight is a constant
  T positive_q, positive_1;  // the weight of a positive is positive_q q + positive_1, if it is not modulated
  T positive_slope;          // gamma, 0 where the weight is a constant
  T smallest;                // normal number
  T power_at_0;              // 0^gamma
  Power<B> power;            // x^(gamma - 1)
  // what follows is read where kSquare is not
  bool has_target_power, modulated;
  Power<B> target_power;
};

// Binary cross entropy of a prediction against q, and what its derivative needs. F is a Formula.
template <class B, class F, Elements kElements>
struct CrossEntropy {
  using V = typename B::V;
  using T = typename B::T;
  V p;            // the probability
  V dp;           // its derivative with respect to the prediction
  V value, grad;  // the cross entropy and its derivative; where q is not 0, the precise way

  VFL_INLINE CrossEntropy(V x, V q) {
    if constexpr (F::kLogits) {
      const V e = B::exp_nonpositive(B::negative_abs(x));
      const V r = B::reciprocal(T(1) + e);
      const V er = e * r;
      p = x < T(0) ? er : r;
      dp = er * r;
      if constexpr (kElements == Elements::kBackground) {
        value = B::at_least(x, T(0)) + B::log1p_unit(e);
        grad = p;
      } else {
        const auto is_background = q == T(0);
        // max(x, 0) - x q: where the product is rounded first, the difference would cancel for q near 1; 0 inf would be
        // NaN
        const V linear = B::kFused ? B::at_least(x, T(0)) - x * q : B::abs(x) * (x < T(0) ? q : T(1) - q);
        value = (is_background ? B::at_least(x, T(0)) : linear) + B::log1p_unit(e);
        // p is a quotient; what it lacks is the remainder, of which numerator - p is exact, over 1 + e
        const V numerator = x < T(0) ? e : V{} + T(1);
        grad = (p - q) + (is_background ? V{} : ((numerator - p) - p * e) * r);
      }
    } else {
      p = x;
      dp = V{} + T(1);
      const V other = T(1) - x;
      // PaddleDetection's limits: the logarithm at -100, the denominator at 1e-12
      const V log_other = B::at_least(B::log(other) + ((T(1) - other) - x), T(-100));
      const V variance = B::at_least(x * other, T(1e-12));
      if constexpr (kElements == Elements::kBackground) {
        value = -log_other;
        grad = x * B::reciprocal(variance);
      } else {
        value = -(q * B::at_least(B::log(x), T(-100)) + (T(1) - q) * log_other);
        grad = q == T(0) ? x * B::reciprocal(variance) : (x - q) / variance;
      }
    }
  }
};

// q^target_power
template <class B>
VFL_SELDOM typename B::V raised(typename B::V q, const Coefficients<B>& c) {
  using T = typename B::T;
  return q > T(0) ? c.target_power(B::at_least(q, c.smallest)) : q;
}

// |d|^gamma and its derivative over gamma: |d|^(gamma-1) sign(d), which counts as 0 at d = 0. kSigned: d may be below
// 0.
template <class B, bool kSigned>
struct Modulation {
  using V = typename B::V;
  using T = typename B::T;
  V weight, steep;

  VFL_INLINE Modulation(V d, const Coefficients<B>& c) {
    // subnormal sizes count as the smallest normal number, which keeps m^(gamma-1) finite for gamma < 1
    const V size = kSigned ? B::abs(d) : d;
    const auto nonzero = size > T(0);
    const V m = B::at_least(size, c.smallest);
    const V power = c.power(m);
    weight = nonzero ? m * power : V{} + c.power_at_0;
    steep = nonzero ? power : V{};
    if constexpr (kSigned) steep = d < T(0) ? -steep : steep;
  }
};

template <class B>
VFL_SELDOM Modulation<B, true> modulation_of(typename B::V d, const Coefficients<B>& c) {
  return Modulation<B, true>(d, c);
}

template <class V>
struct LossAndGrad {
  V loss, grad;
};

// The loss of an element and its derivative; what the caller does not use is not computed. x prediction, q target
// score, y positive share.
template <class B, class F, Elements kElements>
VFL_INLINE LossAndGrad<typename B::V> varifocal(typename B::V x, typename B::V q, typename B::V y,
                                                const Coefficients<B>& c) {
  using V = typename B::V;
  using T = typename B::T;
  if constexpr (kElements != Elements::kBackground) {
    // Nearly all elements are: a shorter path, with the same bits. Probabilities below 0 have to give NaN.
    if (B::all_background(F::kLogits ? V{} : x, q, kElements == Elements::kMasked ? y : V{}))
      return varifocal<B, F, Elements::kBackground>(x, q, y, c);
  }
  V t = q;  // what the cross entropy is against
  if constexpr (!F::kSquare && kElements != Elements::kBackground)
    if (c.has_target_power) t = raised<B>(q, c);
  const CrossEntropy<B, F, kElements> bce(x, t);

  V d = bce.p;
  if constexpr (kElements == Elements::kDense) d = bce.p - q;
  LossAndGrad<V> result;  // of a negative
  LossAndGrad<V> positive{};
  if constexpr (kElements != Elements::kBackground) {
    const V weight = c.positive_q * q + c.positive_1;
    positive = {weight * bce.value, weight * bce.grad};
  }
  if constexpr (F::kSquare) {
    result.loss = (c.alpha * d) * d * bce.value;
    result.grad = (c.alpha * d) * (d * bce.grad + (bce.value + bce.value) * bce.dp);
  } else {
    const Modulation<B, kElements == Elements::kDense> modulation(d, c);
    const V weight = c.alpha * modulation.weight;
    result = {weight * bce.value, weight * bce.grad + c.slope * modulation.steep * bce.value * bce.dp};
    if constexpr (kElements != Elements::kBackground) {
      if (c.modulated) {
        const Modulation<B, true> of_positive = [&] {
          if constexpr (kElements == Elements::kDense)
            return modulation;
          else
            return modulation_of<B>(bce.p - q, c);
        }();
        positive.loss = of_positive.weight * bce.value;
        positive.grad = of_positive.weight * bce.grad + c.positive_slope * of_positive.steep * bce.value * bce.dp;
      }
    }
  }

  if constexpr (kElements == Elements::kDense) {
    const auto is_positive = q > T(0);
    result = {is_positive ? positive.loss : result.loss, is_positive ? positive.grad : result.grad};
  }
  if constexpr (kElements == Elements::kMasked) {
    const auto is_negative = y == T(0);
    result = {is_negative ? result.loss : result.loss * (T(1) - y) + positive.loss * y,
              is_negative ? result.grad : result.grad * (T(1) - y) + positive.grad * y};
  }
  return result;
}

}  // namespace VFL_ISA
}  // namespace paddle_vfl
