// From options that are known at run time to template arguments, written once for the CPU and the CUDA kernels.
//
// What was chosen reaches `function` as the types of its arguments; what it returns is returned.
#pragma once

#include <type_traits>

#include "varifocal_math.h"

#ifndef VFL_HOST_DEVICE
#define VFL_HOST_DEVICE VFL_INLINE
#endif

namespace paddle_vfl {
namespace VFL_ISA {

template <auto kValue>
using Constant = std::integral_constant<decltype(kValue), kValue>;

// function(Constant<k>()) for the k that `value` is equal to. The last one is not asked for.
#ifdef __CUDACC__
#pragma nv_exec_check_disable  // the function is of the host or of the device, as the caller is
#endif
template <auto kFirst, auto... kRest, class Value, class Function>
VFL_HOST_DEVICE auto dispatch(OneOf<kFirst, kRest...>, Value value, const Function& function) {
  if constexpr (sizeof...(kRest) == 0)
    return function(Constant<kFirst>());
  else
    return value == kFirst ? function(Constant<kFirst>()) : dispatch(OneOf<kRest...>(), value, function);
}

// function(Formula<...>())
template <class Function>
auto dispatch_formula(const Problem& problem, const Function& function) {
  return dispatch(OneOf<true, false>(), problem.use_sigmoid, [&](auto logits) {
    return dispatch(OneOf<true, false>(), problem.gamma == 2 && is_varifocal(problem),
                    [&](auto square) { return function(Formula<decltype(logits)::value, decltype(square)::value>()); });
  });
}

// function(Constant<TargetKind>(), Formula<...>())
template <class Function>
auto dispatch_kind_and_formula(const Problem& problem, const Function& function) {
  using Kinds = OneOf<TargetKind::kDense, TargetKind::kMasked, TargetKind::kPair>;
  return dispatch(Kinds(), problem.kind, [&](auto kind) {
    return dispatch_formula(problem, [&](auto formula) { return function(kind, formula); });
  });
}

// The C++ type of a DType; those that are a backend's own are in its storage header.
template <DType kType>
struct Storage;
template <>
struct Storage<DType::kFloat32> {
  using Type = float;
};
template <>
struct Storage<DType::kFloat64> {
  using Type = double;
};
template <>
struct Storage<DType::kInt32> {
  using Type = int32_t;
};
template <>
struct Storage<DType::kInt64> {
  using Type = int64_t;
};
template <DType kType>
using Stored = typename Storage<kType>::Type;

}  // namespace VFL_ISA
}  // namespace paddle_vfl
