// The attributes of the operators: what they are told of a Problem besides its tensors. One more is a field, a type and
// a text here.
#pragma once

#include <string>
#include <vector>

namespace paddle_vfl {

enum class Reduction {
  kNone,
  kRow,  // the sum over the classes
  kSum,
  kMean,  // over all elements
};

struct Attributes {
  bool use_sigmoid, detach_weight;
  bool weighted;                           // ClassWeight is one
  int kind;                                // a TargetKind: what Target and Label are
  int positive_weight;                     // a PositiveWeight
  int reduction;                           // a Reduction
  std::string alpha, gamma, target_power;  // decimal texts, because Paddle 2.6 has no attribute of double precision
};

// Paddle hands them over one by one: a class of functions that take their values so.
template <template <class... Values> class Functions>
using WithAttributes =
    Functions<bool, bool, bool, int, int, int, const std::string&, const std::string&, const std::string&>;

inline std::vector<std::string> attribute_texts() {
  return {"use_sigmoid: bool",  "detach_weight: bool",  "weighted: bool",
          "kind: int",          "positive_weight: int", "reduction: int",
          "alpha: std::string", "gamma: std::string",   "target_power: std::string"};
}

}  // namespace paddle_vfl
