// The CUDA backend as C functions, for programs without Paddle: kernels.py calls them through ctypes.
#include <cstdio>
#include <exception>

#include "varifocal_cuda.h"

namespace {

thread_local char message[512];

template <class Call>
const char* guarded(Call call) {
  try {
    call();
    return nullptr;
  } catch (const std::exception& error) {
    std::snprintf(message, sizeof(message), "%s", error.what());
    return message;
  }
}

}  // namespace

extern "C" {

// A paddle_vfl::Problem. Types: 0 float32, 1 float64, 2 float16, 3 bfloat16, 4 int32, 5 int64. kind: 0 dense, 1 masked,
// 2 pair; a dense problem has no label. positive_weight: 0 score, 1 one, 2 modulated. class_weight may be null.
struct VflProblem {
  int64_t rows, classes;
  const void *pred, *target, *label, *class_weight;
  int32_t pred_type, target_type, label_type, kind;
  double alpha, gamma, target_power;
  int32_t positive_weight, detach_weight, use_sigmoid, reduce_rows;
};

static paddle_vfl::Problem problem_of(const VflProblem& given) {
  paddle_vfl::Problem problem;
  problem.rows = given.rows;
  problem.classes = given.classes;
  problem.pred = {given.pred, static_cast<paddle_vfl::DType>(given.pred_type)};
  problem.target = {given.target, static_cast<paddle_vfl::DType>(given.target_type)};
  problem.label = {given.label, static_cast<paddle_vfl::DType>(given.label_type)};
  problem.class_weight = {given.class_weight, paddle_vfl::computed_in(problem.pred.type)};
  problem.kind = static_cast<paddle_vfl::TargetKind>(given.kind);
  problem.alpha = given.alpha;
  problem.gamma = given.gamma;
  problem.target_power = given.target_power;
  problem.positive_weight = static_cast<paddle_vfl::PositiveWeight>(given.positive_weight);
  problem.detach_weight = given.detach_weight != 0;
  problem.use_sigmoid = given.use_sigmoid != 0;
  problem.reduce_rows = given.reduce_rows != 0;
  return problem;
}

// Null, or a message that is good until the next call of this thread.
const char* vfl_cuda_forward(const VflProblem* problem, void* loss, int device, void* stream) {
  return guarded([&] { paddle_vfl::forward_cuda(problem_of(*problem), loss, device, stream); });
}

const char* vfl_cuda_backward(const VflProblem* problem, const void* grad_loss, void* grad_pred, int device,
                              void* stream) {
  return guarded([&] { paddle_vfl::backward_cuda(problem_of(*problem), grad_loss, grad_pred, device, stream); });
}

}  // extern "C"
