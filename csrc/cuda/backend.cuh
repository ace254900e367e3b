// The CUDA backend of varifocal_math.h: scalars and the device's functions. The other files here have the headers that
// both backends share from this one, which tells them where they are.
#pragma once

#define VFL_ISA         cuda
#define VFL_INLINE      __device__ __forceinline__
#define VFL_SELDOM      VFL_INLINE
#define VFL_HOST_DEVICE __host__ __device__ __forceinline__

#include <cstdint>

#include "../dispatch.h"
#include "../polynomials.h"
#include "../varifocal_math.h"

namespace paddle_vfl {
namespace cuda {

template <class Float>
class Scalar;

template <>
class Scalar<float> {
 public:
  using T = float;
  using V = float;
  static constexpr bool kFused = true;
  struct Exponent {
    explicit Exponent(double t) : value(static_cast<T>(t)) {}
    T value;
  };

  // 2^t for the rounded t = x / ln 2, times e^(x - t ln 2): shorter than expf. Subnormal results are 0.
  static VFL_INLINE V exp_nonpositive(V x) {
#ifdef __CUDA_ARCH__
    constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147182f, kLn2Rest = -1.90465421e-9f;
    const float limited = at_least(x, -126.0f), t = limited * kLog2e;  // the rest of -inf would be NaN
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(t));
    return fmaf(power, fmaf(-kLn2Rest, t, fmaf(-kLn2, t, limited)), power);
#else
    return expf(x);
#endif
  }
  // shorter than log1pf, which has to work everywhere
  static VFL_INLINE V log1p_unit(V u) { return u * polynomial<0>(u - 0.5f, 0); }
  static VFL_INLINE V log(V x) { return logf(x); }
  static VFL_INLINE V pow(V x, const Exponent& t) { return powf(x, t.value); }
  static VFL_INLINE V sqrt(V x) { return sqrtf(x); }
  // within 1 ULP for the numbers that it is asked for, none of which is subnormal
  static VFL_INLINE V reciprocal(V x) {
#ifdef __CUDA_ARCH__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#else
    return 1.0f / x;
#endif
  }
  static VFL_INLINE V abs(V x) { return fabsf(x); }
  static VFL_INLINE V negative_abs(V x) { return -fabsf(x); }
  static VFL_INLINE V at_least(V x, T limit) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(limit));
    return r;
#else
    return limit > x ? limit : x;  // fmaxf would lose a NaN
#endif
  }
  static VFL_INLINE bool all_background(V, V, V) { return false; }  // vector.cuh asks it of a whole vector

 private:
  // a constant of the host can be used on the device one number at a time
  template <int i>
  static VFL_INLINE V polynomial(V t, V sum) {
    constexpr int kCount = sizeof(Polynomials<T>::kLog1p) / sizeof(T);
    if constexpr (i == kCount) {
      return sum;
    } else {
      constexpr T coefficient = Polynomials<T>::kLog1p[i];
      return polynomial<i + 1>(t, i == 0 ? coefficient : fmaf(sum, t, coefficient));
    }
  }
};

template <>
class Scalar<double> {
 public:
  using T = double;
  using V = double;
  static constexpr bool kFused = true;
  struct Exponent {
    explicit Exponent(double t) : value(t) {}
    T value;
  };

  static VFL_INLINE V exp_nonpositive(V x) { return ::exp(x); }
  static VFL_INLINE V log1p_unit(V u) { return ::log1p(u); }
  static VFL_INLINE V log(V x) { return ::log(x); }
  static VFL_INLINE V pow(V x, const Exponent& t) { return ::pow(x, t.value); }
  static VFL_INLINE V sqrt(V x) { return ::sqrt(x); }
  static VFL_INLINE V reciprocal(V x) { return 1.0 / x; }
  static VFL_INLINE V abs(V x) { return ::fabs(x); }
  static VFL_INLINE V negative_abs(V x) { return -::fabs(x); }
  static VFL_INLINE V at_least(V x, T limit) { return limit > x ? limit : x; }
  static VFL_INLINE bool all_background(V, V, V) { return false; }  // vector.cuh asks it of a whole vector
};

}  // namespace cuda
}  // namespace paddle_vfl
