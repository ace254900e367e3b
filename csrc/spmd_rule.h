// How the operator's tensors may be spread over processes (paddle.distributed.shard_tensor; Paddle 3).
//
// Rows may be sharded freely. So may the classes of a dense target, each process then having a part of every row's sum;
// those of a pair may not, since its labels count classes from the first one.
#pragma once

#if __has_include("paddle/phi/api/ext/spmd_infer.h")
#include <algorithm>

#include "attributes.h"
// the only header behind it that asks for CUDA is enforce.h, which then wants cuBLAS, cuDNN and others
#pragma push_macro("PADDLE_WITH_CUDA")
#undef PADDLE_WITH_CUDA
#include "paddle/phi/api/ext/spmd_infer.h"
#pragma pop_macro("PADDLE_WITH_CUDA")
#include "varifocal.h"

#define VFL_SPMD_RULE(pass) .SetInferSpmdFn(PD_INFER_SPMD_RULE(paddle_vfl::WithAttributes<paddle_vfl::SpmdRules>::pass))

namespace paddle_vfl {

using Sharding = std::vector<int64_t>;  // for each dimension the mesh dimension that shards it, or -1
using phi::distributed::DistMetaTensor;
using phi::distributed::SpmdInfo;
using phi::distributed::TensorDistAttr;

// Takes over what `other` says of dimensions that `sharding` leaves whole.
inline void merge(Sharding& sharding, const Sharding& other) {
  for (size_t i = 0; i < std::min(sharding.size(), other.size()); ++i)
    if (sharding[i] < 0 && std::count(sharding.begin(), sharding.end(), other[i]) == 0) sharding[i] = other[i];
}

inline TensorDistAttr attribute(const TensorDistAttr& like, const Sharding& sharding) {
  TensorDistAttr attr;
  attr.set_process_mesh(like.process_mesh());
  attr.set_batch_dim(like.batch_dim());
  attr.set_default_dynamic_dims(sharding);  // Paddle 3.0 and 3.1 do not take the number of dimensions
  attr.set_dims_mapping(sharding);
  return attr;
}

struct Spmd {
  TensorDistAttr elements, rows, target, class_weight, partial_rows;
};

inline Spmd spmd(const DistMetaTensor& pred, const DistMetaTensor& target, const DistMetaTensor& label,
                 const Attributes& attributes) {
  const bool pair = static_cast<TargetKind>(attributes.kind) == TargetKind::kPair;
  const TensorDistAttr& like = pred.dist_attr();
  Sharding elements = like.dims_mapping();
  if (pair) elements.back() = -1;
  merge(elements, target.dist_attr().dims_mapping());
  merge(elements, label.dist_attr().dims_mapping());
  const Sharding rows(elements.begin(), elements.end() - 1);
  const TensorDistAttr of_target = attribute(like, pair ? rows : elements);
  Spmd result{attribute(like, elements), attribute(like, rows), of_target,
              attributes.weighted ? attribute(like, {elements.back()}) : of_target, attribute(like, rows)};
  if (elements.back() >= 0) result.partial_rows.set_partial_status(std::vector<int64_t>{elements.back()});
  return result;
}

// Sums and means of distributed tensors are left to Paddle.
inline bool by_row(const Attributes& attributes) {
  return static_cast<Reduction>(attributes.reduction) == Reduction::kRow;
}

template <class... Values>
struct SpmdRules {
  static SpmdInfo forward(const DistMetaTensor& pred, const DistMetaTensor& target, const DistMetaTensor& label,
                          const DistMetaTensor&, Values... values) {
    const Attributes attributes{values...};
    const Spmd s = spmd(pred, target, label, attributes);
    return {{s.elements, s.target, s.target, s.class_weight}, {by_row(attributes) ? s.partial_rows : s.elements}};
  }

  static SpmdInfo backward(const DistMetaTensor& pred, const DistMetaTensor& target, const DistMetaTensor& label,
                           const DistMetaTensor&, const DistMetaTensor&, Values... values) {
    const Attributes attributes{values...};
    const Spmd s = spmd(pred, target, label, attributes);
    return {{s.elements, s.target, s.target, s.class_weight, by_row(attributes) ? s.rows : s.elements}, {s.elements}};
  }
};

}  // namespace paddle_vfl

#else
#define VFL_SPMD_RULE(pass)
#endif
