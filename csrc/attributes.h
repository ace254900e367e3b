// The attributes of the operators: what they are told of a Problem besides its tensors. One more is a field, a type and
// a text here.
#pragma once

#include <string>
#include <vector>

namespace paddle_vfl {

struct Attributes {
  bool iou_weighted, use_sigmoid, reduce_rows;
  int kind;                  // a TargetKind: what Target and Label are
  std::string alpha, gamma;  // decimal texts, because Paddle 2.6 has no attribute of double precision
};

// Paddle hands them over one by one: a class of functions that take their values so.
template <template <class... Values> class Functions>
using WithAttributes = Functions<bool, bool, bool, int, const std::string&, const std::string&>;

inline std::vector<std::string> attribute_texts() {
  return {"iou_weighted: bool", "use_sigmoid: bool",  "reduce_rows: bool",
          "kind: int",          "alpha: std::string", "gamma: std::string"};
}

}  // namespace paddle_vfl
