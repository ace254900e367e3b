// What a kernel is asked to compute. Plain C++: no Paddle, no Python, no CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace paddle_vfl {

enum class DType { kFloat32, kFloat64, kFloat16, kBFloat16, kInt32, kInt64 };

// Values to choose from: see dispatch.h.
template <auto... kValues>
struct OneOf {};

// What predictions, targets and masks may be. The C++ types are in each backend's storage header.
using FloatingTypes = OneOf<DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kFloat32>;
// What the labels of pairs may be.
using IntegerTypes = OneOf<DType::kInt32, DType::kInt64>;

// The type that predictions of `pred` are computed in, which is also that of their loss.
constexpr DType computed_in(DType pred) { return pred == DType::kFloat64 ? pred : DType::kFloat32; }

constexpr bool is_integer(DType type) { return type == DType::kInt32 || type == DType::kInt64; }

constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::kFloat64:
    case DType::kInt64: return 8;
    case DType::kFloat16:
    case DType::kBFloat16: return 2;
    default: return 4;
  }
}

// How an element is known to be positive; the numbers are those of the operator's attribute `kind`.
enum class TargetKind {
  kDense,   // target[row, class] > 0
  kMasked,  // the mask label[row, class], 0 or 1 or between
  kPair,    // class label[row] of the row, if it is in [0, classes), with the score target[row]; 0 elsewhere
};

// What a positive of score q and prediction p weighs; the numbers are those of the operator's attribute.
enum class PositiveWeight {
  kScore,      // q
  kOne,        // 1
  kModulated,  // |q - p|^gamma
};

// A contiguous array of `type`.
struct Array {
  const void* data = nullptr;
  DType type = DType::kFloat32;
};

struct Problem {
  int64_t rows = 0;
  int64_t classes = 0;
  Array pred;          // rows x classes
  Array target;        // rows x classes, or rows for kPair
  Array label;         // rows x classes for kMasked, rows integers for kPair
  Array class_weight;  // classes factors of the loss, of the type computed in; null: 1
  TargetKind kind = TargetKind::kDense;
  double alpha = 0.75;
  double gamma = 2.0;
  double target_power = 1.0;  // the cross entropy of a positive is against q^target_power
  PositiveWeight positive_weight = PositiveWeight::kScore;
  bool detach_weight = false;  // the weight counts as a constant in the derivative
  bool use_sigmoid = true;     // pred holds logits
  bool reduce_rows = false;    // the loss of a row is one number, the sum over its classes
};

// Whether the weight and the target of an element are those of varifocal loss.
inline bool is_varifocal(const Problem& problem) {
  return problem.target_power == 1 && problem.positive_weight != PositiveWeight::kModulated && !problem.detach_weight;
}

// Whether the targets and masks of the elements, if there are such, are of the type of the predictions.
inline bool has_one_dtype(const Problem& problem) {
  return problem.kind == TargetKind::kPair ||
         (problem.target.type == problem.pred.type &&
          (problem.kind == TargetKind::kDense || problem.label.type == problem.pred.type));
}

// The same problem as one column, where the rows do not matter: without sums, without one label for each of them, and
// without weights of the classes.
inline Problem flattened(Problem problem) {
  if (!problem.reduce_rows && problem.kind != TargetKind::kPair && problem.class_weight.data == nullptr) {
    problem.rows *= problem.classes;
    problem.classes = 1;
  }
  return problem;
}

}  // namespace paddle_vfl
