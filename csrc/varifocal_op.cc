// Paddle's side of the operator: registration, shapes and types, argument checks, choice of the backend.
//
//   paddle_vfl_varifocal_loss(Pred, Target, Label, ClassWeight) -> Loss, and its gradient with respect to Pred.
//
// A dense target has no label, and the classes need have no weights: the caller gives Target once more, for Paddle's
// optional inputs crash in distributed tensors and lose tensors without elements.
#include <locale>
#include <sstream>
#include <string>
#include <vector>

#include "attributes.h"
#include "cpu/buffers.h"
#include "cpu/kernels.h"
#ifdef VFL_CUDA
#include "cuda/varifocal_cuda.h"
#endif
// not all of paddle/extension.h, which in a CUDA build of Paddle 3 wants the headers of cuBLAS, cuDNN and others
#include "paddle/phi/api/ext/op_meta_info.h"
#include "paddle/phi/api/ext/tensor_compat.h"
#include "paddle/phi/api/include/tensor_utils.h"
#include "spmd_rule.h"
#include "varifocal.h"

namespace {

using paddle::DataType;
using paddle::Tensor;
using paddle_vfl::Attributes;
using paddle_vfl::DType;
using paddle_vfl::Problem;
using paddle_vfl::TargetKind;
using Shape = std::vector<int64_t>;

double number(const std::string& text) {
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0;
  PD_CHECK(stream >> value && value >= 0, "alpha, gamma and target_power: expected a number >= 0, got '", text, "'");
  return value;
}

DType dtype_of(const Tensor& tensor, const char* name) {
  switch (tensor.dtype()) {
    case DataType::FLOAT32: return DType::kFloat32;
    case DataType::FLOAT64: return DType::kFloat64;
    case DataType::FLOAT16: return DType::kFloat16;
    case DataType::BFLOAT16: return DType::kBFloat16;
    case DataType::INT32: return DType::kInt32;
    case DataType::INT64: return DType::kInt64;
    default: PD_THROW(name, " has an unsupported dtype");
  }
}

paddle_vfl::Array array_of(const Tensor& tensor, const char* name) { return {tensor.data(), dtype_of(tensor, name)}; }

DataType loss_dtype(DataType pred) { return pred == DataType::FLOAT64 ? pred : DataType::FLOAT32; }

Shape without_classes(Shape shape) {
  shape.pop_back();
  return shape;
}

// The last checks before raw pointers: the Python functions have told the user already, in friendlier words.
Problem problem_of(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                   const Attributes& attributes) {
  PD_CHECK(attributes.kind >= 0 && attributes.kind <= 2, "kind: expected 0 (dense), 1 (masked) or 2 (pair)");
  PD_CHECK(attributes.positive_weight >= 0 && attributes.positive_weight <= 2,
           "positive_weight: expected 0 (score), 1 (one) or 2 (modulated)");
  Problem problem;
  problem.kind = static_cast<TargetKind>(attributes.kind);
  const bool pair = problem.kind == TargetKind::kPair;
  const Shape shape = pred.shape();
  PD_CHECK(!shape.empty(), "pred has no dimension, expected the classes in the last one");
  const Shape expected = pair ? without_classes(shape) : shape;
  PD_CHECK(target.shape() == expected, "the shape of target does not fit that of pred");
  PD_CHECK(label.shape() == expected, "the shape of label does not fit that of pred");
  PD_CHECK(target.place() == pred.place() && label.place() == pred.place(),
           "pred, target and label are on different devices");

  problem.classes = shape.back();
  problem.rows = problem.classes == 0 ? 0 : pred.numel() / problem.classes;
  problem.pred = array_of(pred, "pred");
  problem.target = array_of(target, "target");
  problem.label = array_of(label, "label");
  PD_CHECK(!paddle_vfl::is_integer(problem.pred.type) && !paddle_vfl::is_integer(problem.target.type),
           "pred and target: expected floating point");
  PD_CHECK(paddle_vfl::is_integer(problem.label.type) == pair,
           pair ? "label: expected int32 or int64" : "label: expected floating point");
  problem.alpha = number(attributes.alpha);
  problem.gamma = number(attributes.gamma);
  problem.target_power = number(attributes.target_power);
  problem.positive_weight = static_cast<paddle_vfl::PositiveWeight>(attributes.positive_weight);
  problem.detach_weight = attributes.detach_weight;
  problem.use_sigmoid = attributes.use_sigmoid;
  problem.reduce_rows = attributes.reduce_rows;
  if (attributes.weighted) {
    PD_CHECK(class_weight.shape() == Shape{problem.classes} && class_weight.place() == pred.place() &&
                 class_weight.dtype() == loss_dtype(pred.dtype()),
             "class_weight: expected one number a class, of the dtype of the loss, on the device of pred");
    problem.class_weight = array_of(class_weight, "class_weight");
  }
  return problem;
}

void check_device(const Tensor& pred) {
#ifdef VFL_CUDA
  PD_CHECK(pred.is_cpu() || pred.is_gpu(), "pred: expected a tensor on the CPU or on an NVIDIA GPU");
#else
  PD_CHECK(pred.is_cpu(),
           "pred is not on the CPU, and this build of paddle_vfl has CPU kernels only: build it again with CUDA "
           "(python -m paddle_vfl info)");
#endif
}

void run_forward(const Problem& problem, const Tensor& pred, Tensor& loss) {
#ifdef VFL_CUDA
  if (pred.is_gpu()) return paddle_vfl::forward_cuda(problem, loss.data(), pred.place().GetDeviceId(), pred.stream());
#endif
  paddle_vfl::forward_cpu(problem, loss.data());
}

void run_backward(const Problem& problem, const Tensor& pred, const Tensor& grad_loss, Tensor& grad_pred) {
#ifdef VFL_CUDA
  if (pred.is_gpu()) {
    // what the forward pass returned, so nothing else comes back
    PD_CHECK(grad_loss.dtype() == loss_dtype(pred.dtype()), "grad_loss: expected the dtype of the loss");
    return paddle_vfl::backward_cuda(problem, grad_loss.data(), grad_pred.data(), pred.place().GetDeviceId(),
                                     pred.stream());
  }
#endif
  paddle_vfl::backward_cpu(problem, array_of(grad_loss, "grad_loss"), grad_pred.data());
}

std::vector<Tensor> forward(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                            const Attributes& attributes) {
  check_device(pred);
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  const Shape shape = problem.reduce_rows ? without_classes(pred.shape()) : pred.shape();
  // a row without classes has the loss 0
  Tensor loss = problem.classes == 0 ? paddle::full(shape, 0, loss_dtype(pred.dtype()), pred.place())
                                     : paddle::empty(shape, loss_dtype(pred.dtype()), pred.place());
  if (problem.rows > 0) run_forward(problem, pred, loss);
  return {loss};
}

Tensor empty_gradient(const Tensor& pred) {
  const size_t bytes = pred.numel() * phi::SizeOf(pred.dtype());
  void* const buffer = !pred.is_cpu() || bytes < paddle_vfl::kLeastBuffer ? nullptr : paddle_vfl::acquire_buffer(bytes);
  if (buffer == nullptr) return paddle::empty(pred.shape(), pred.dtype(), pred.place());
  return paddle::from_blob(buffer, pred.shape(), pred.dtype(), phi::DataLayout::NCHW, pred.place(),
                           paddle_vfl::release_buffer);
}

std::vector<Tensor> backward(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                             const Tensor& grad_loss, const Attributes& attributes) {
  check_device(pred);
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  PD_CHECK(grad_loss.place() == pred.place(), "pred and grad_loss are on different devices");
  PD_CHECK(grad_loss.shape() == (problem.reduce_rows ? without_classes(pred.shape()) : pred.shape()),
           "the shape of the loss gradient does not fit that of pred");
  Tensor grad_pred = empty_gradient(pred);
  if (problem.rows > 0) run_backward(problem, pred, grad_loss, grad_pred);
  return {grad_pred};
}

// As Paddle wants them: with the values of the attributes one by one.
template <class... Values>
struct Functions {
  static std::vector<Tensor> forward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                     const Tensor& class_weight, Values... values) {
    return ::forward(pred, target, label, class_weight, {values...});
  }

  static std::vector<Tensor> backward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                      const Tensor& class_weight, const Tensor& grad_loss, Values... values) {
    return ::backward(pred, target, label, class_weight, grad_loss, {values...});
  }

  // Without this Paddle would leave second derivatives out without a word.
  static std::vector<Tensor> double_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, Values...) {
    PD_THROW("the fused varifocal loss has no second derivative: use paddle_vfl.reference.varifocal_loss for it");
  }

  static std::vector<Shape> infer_shape(const Shape& pred, const Shape&, const Shape&, const Shape&, Values... values) {
    return {Attributes{values...}.reduce_rows && !pred.empty() ? without_classes(pred) : pred};
  }
};

std::vector<DataType> infer_dtype(const DataType& pred, const DataType&, const DataType&, const DataType&) {
  return {loss_dtype(pred)};
}

}  // namespace

using Operator = paddle_vfl::WithAttributes<Functions>;

PD_BUILD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", "Label", "ClassWeight"})
    .Outputs({"Loss"})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::forward))
    .SetInferShapeFn(PD_INFER_SHAPE(Operator::infer_shape))
    .SetInferDtypeFn(PD_INFER_DTYPE(infer_dtype)) VFL_SPMD_RULE(forward);

PD_BUILD_GRAD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", "Label", "ClassWeight", paddle::Grad("Loss")})
    .Outputs({paddle::Grad("Pred")})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::backward)) VFL_SPMD_RULE(backward);

PD_BUILD_DOUBLE_GRAD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", paddle::Grad("Loss"), paddle::Grad(paddle::Grad("Pred"))})
    .Outputs({paddle::Grad(paddle::Grad("Loss"))})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::double_backward));
