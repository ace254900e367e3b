// The CPU backend of varifocal_math.h: vectors of VFL_VECTOR_BYTES, by the compiler's vector extensions, and their
// functions. Included by kernels.inl with VFL_ISA and the target set.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "../polynomials.h"
#include "native.h"

namespace paddle_vfl {
namespace VFL_ISA {

template <class T>
struct Format;

template <>
struct Format<float> {
  using Int = int32_t;
  static constexpr int kMantissa = 23;
  static constexpr Int kBias = 127;
  static constexpr Int kSqrtHalf = 0x3f3504f3;  // bits of sqrt(1/2)
  static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float kLn2Hi = 0.693145752f,
                         kLn2Lo = 1.42860677e-6f;  // both positive: log(0) is their sum times -inf
  static constexpr float kLog2E = 1.44269504f;
  static constexpr float kExpLowest = -104.0f;  // e^x is 0 below
  static constexpr float kSplit = 4096.0f;      // multiples of 1/4096 times an exponent are exact
};

template <>
struct Format<double> {
  using Int = int64_t;
  static constexpr int kMantissa = 52;
  static constexpr Int kBias = 1023;
  static constexpr Int kSqrtHalf = 0x3fe6a09e667f3bcd;
  static constexpr double kRound = 6755399441055744.0;
  static constexpr double kLn2Hi = 6.93147180369123816490e-01, kLn2Lo = 1.90821492927058770002e-10;
  static constexpr double kLog2E = 1.44269504088896338700;
  static constexpr double kExpLowest = -746.0;
  static constexpr double kSplit = 4294967296.0;
};

template <class Float>
struct Simd {
  using T = Float;
  using F = Format<T>;
  using Int = typename F::Int;
  static constexpr bool kFused = native::kFused;
  static constexpr int kLanes = VFL_VECTOR_BYTES / sizeof(T);
  typedef T V __attribute__((vector_size(VFL_VECTOR_BYTES)));
  typedef Int I __attribute__((vector_size(VFL_VECTOR_BYTES)));

  // A constant exponent, split in two for precision.
  struct Exponent {
    explicit Exponent(double t)
        : high(static_cast<T>(std::nearbyint(t * F::kSplit) / F::kSplit)),
          low(static_cast<T>(t - high)),
          full(static_cast<T>(t)) {}
    T high, low, full;
  };

  static VFL_INLINE V load(const T* p) {
    V v;
    std::memcpy(&v, p, sizeof(v));
    return v;
  }
  static VFL_INLINE void store(T* p, V v) { std::memcpy(p, &v, sizeof(v)); }

  static VFL_INLINE I bits(V v) { return reinterpret_cast<I>(v); }
  static VFL_INLINE V from_bits(I i) { return reinterpret_cast<V>(i); }
  static VFL_INLINE V abs(V x) { return from_bits(bits(x) & std::numeric_limits<Int>::max()); }
  static VFL_INLINE V negative_abs(V x) { return from_bits(bits(x) | std::numeric_limits<Int>::min()); }
  static VFL_INLINE V at_least(V x, T limit) { return native::at_least(x, V{} + limit); }
  static VFL_INLINE V sqrt(V x) { return native::sqrt(x); }
  static VFL_INLINE V reciprocal(V x) { return native::reciprocal(x); }
  static VFL_INLINE bool all_background(V x, V q, V y) {
    typedef long long Bits __attribute__((vector_size(VFL_VECTOR_BYTES)));
    const I sign = I{} + std::numeric_limits<Int>::min();
    return native::no_bits(reinterpret_cast<Bits>((bits(x) & sign) | bits(q) | bits(y)));
  }

  static VFL_INLINE V exp_nonpositive(V x) {
    x = at_least(x, F::kExpLowest);
    const V shifted = x * F::kLog2E + F::kRound;
    const V n = shifted - F::kRound;
    const V r = (x - n * F::kLn2Hi) - n * F::kLn2Lo;
    if constexpr (native::kScales) {
      return native::scale(exp_reduced(r), n);
    } else {
      // 2^n may be subnormal: scale in two steps
      constexpr Int kHalf = F::kBias / 2 + 1;
      const I scale = (bits(shifted) + (F::kBias + kHalf)) << F::kMantissa;
      const T unscale = scalar_from_bits((F::kBias - kHalf) << F::kMantissa);
      return exp_reduced(r) * from_bits(scale) * unscale;
    }
  }

  static VFL_INLINE V log1p_unit(V u) {
    const V t = u - T(0.5);
    return u * polynomial(t, t * t, Polynomials<T>::kLog1p);
  }

  static VFL_INLINE V log(V x) {
    V exponent, f;
    split(x, exponent, f);
    const V value = exponent * F::kLn2Hi + (log_tail(f) + (exponent * F::kLn2Lo + f));
    if constexpr (native::kScales) return value;  // split has seen to the special values
    const V special = x == T(0) ? V{} - std::numeric_limits<T>::infinity() : V{} + std::numeric_limits<T>::quiet_NaN();
    return x > T(0) ? value : special;
  }

  static VFL_INLINE V pow(V x, const Exponent& t) {
    // 2^y with y = t log2(x). The product of the exponent of x with the high part of t is exact, so that the error is
    // that of the fraction, not that of y.
    V exponent, f;
    split(x, exponent, f);
    const V whole = exponent * t.high;
    const V rest = exponent * t.low + (f + log_tail(f)) * (t.full * F::kLog2E);
    V y = whole + rest;
    constexpr T kFar = T(2) * (F::kBias - 1);  // 2^y is 0 or inf beyond
    const auto far = abs(y) > kFar;
    y = far ? (y < T(0) ? V{} - kFar : V{} + kFar) : y;
    const V shifted = y + F::kRound;
    const V n = shifted - F::kRound;
    const V r = far ? V{} : ((whole - n) + rest) * T(0.693147180559945309417);
    if constexpr (native::kScales) {
      return native::scale(exp_reduced(r), n);
    } else {
      const I k = bits(shifted) - bits(V{} + F::kRound);
      return exp_reduced(r) * power_of_2(k >> 1) * power_of_2(k - (k >> 1));
    }
  }

 private:
  // Horner's scheme in the square, two coefficients a step: half as long a chain of dependent operations
  template <int N>
  static VFL_INLINE V polynomial(V x, V square, const T (&c)[N]) {
    constexpr int kFirst = N % 2 ? 1 : 2;
    V sum = kFirst == 1 ? V{} + c[0] : x * c[0] + c[1];
#pragma GCC unroll 32
    for (int i = kFirst; i < N; i += 2) sum = sum * square + (x * c[i] + c[i + 1]);
    return sum;
  }

  // e^r for |r| <= ln(2) / 2
  static VFL_INLINE V exp_reduced(V r) {
    const V square = r * r;
    return (square * polynomial(r, square, Polynomials<T>::kExp) + r) + T(1);
  }

  // x = 2^exponent (1 + fraction) for finite x > 0, 1 + fraction in [sqrt(1/2), sqrt(2)), or in [3/4, 3/2) if native
  static VFL_INLINE void split(V x, V& exponent, V& fraction) {
    if constexpr (native::kScales) {
      const V mantissa = native::mantissa(x);
      exponent = native::exponent(x) - native::exponent(mantissa);
      fraction = mantissa - T(1);
    } else {
      const auto tiny = x < std::numeric_limits<T>::min();
      x = tiny ? x * scalar_from_bits((F::kBias + F::kMantissa) << F::kMantissa) : x;
      const I e = (bits(x) - F::kSqrtHalf) >> F::kMantissa;
      fraction = from_bits(bits(x) - (e << F::kMantissa)) - T(1);
      exponent = __builtin_convertvector(e, V);
      exponent = tiny ? exponent - T(F::kMantissa) : exponent;
    }
  }

  // log(1 + f) - f
  static VFL_INLINE V log_tail(V f) {
    const V square = f * f;
    if constexpr (native::kScales) return square * (f * polynomial(f, square, Polynomials<T>::kLogMant) - T(0.5));
    return square * (f * polynomial(f, square, Polynomials<T>::kLog) - T(0.5));
  }

  static VFL_INLINE V power_of_2(I k) { return from_bits((k + F::kBias) << F::kMantissa); }

  static VFL_INLINE T scalar_from_bits(Int i) {
    T value;
    std::memcpy(&value, &i, sizeof(value));
    return value;
  }
};

}  // namespace VFL_ISA
}  // namespace paddle_vfl
