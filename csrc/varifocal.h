// What a kernel is asked to compute. Plain C++: no Paddle, no Python, no CUDA.
#pragma once

#include <cstdint>

namespace paddle_vfl {

enum class DType { kFloat32, kFloat64, kFloat16, kBFloat16, kInt32, kInt64 };

// How an element is known to be positive; the numbers are those of the operator's attribute `kind`.
enum class TargetKind {
  kDense,   // target[row, class] > 0
  kMasked,  // the mask label[row, class], 0 or 1 or between
  kPair,    // class label[row] of the row, if it is in [0, classes), with the score target[row]; 0 elsewhere
};

// A contiguous array of `type`.
struct Array {
  const void* data = nullptr;
  DType type = DType::kFloat32;
};

struct Problem {
  int64_t rows = 0;
  int64_t classes = 0;
  Array pred;    // rows x classes
  Array target;  // rows x classes, or rows for kPair
  Array label;   // rows x classes for kMasked, rows integers for kPair
  TargetKind kind = TargetKind::kDense;
  double alpha = 0.75;
  double gamma = 2.0;
  bool iou_weighted = true;
  bool use_sigmoid = true;   // pred holds logits
  bool reduce_rows = false;  // the loss of a row is one number, the sum over its classes
};

}  // namespace paddle_vfl
