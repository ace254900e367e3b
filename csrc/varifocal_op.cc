// Paddle's side of the operator: registration, shapes and types, argument checks, choice of the backend.
//
//   paddle_vfl_varifocal_loss(Pred, Target, Label, ClassWeight) -> Loss, and its gradient with respect to Pred.
//   paddle_vfl_varifocal_loss_one_pass(the same) -> Loss, Gradient, Taken: for a Pred on the CPU that wants a gradient.
//
// In one pass the gradient of the sum is computed with the loss, since both need the same exponentials. The backward
// pass scales it where it lies and hands it over, which Taken notes: another backward pass computes it anew. That of a
// Pred of half precision is in float32, and is scaled into another tensor.
//
// A dense target has no label, and the classes need have no weights: the caller gives Target once more, for Paddle's
// optional inputs crash in distributed tensors and lose tensors without elements.
#include <locale.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>  // strtod_l
#endif

#include <string>
#include <utility>
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
using paddle_vfl::Reduction;
using paddle_vfl::TargetKind;
using Shape = std::vector<int64_t>;

double number(const std::string& text) {
  static const locale_t decimal_point = newlocale(LC_NUMERIC_MASK, "C", nullptr);  // whatever the program's locale is
  char* end = nullptr;
  const double value = strtod_l(text.c_str(), &end, decimal_point);
  PD_CHECK(end != text.c_str() && *end == '\0' && value >= 0,
           "alpha, gamma and target_power: expected a number >= 0, got '", text, "'");
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

Reduction reduction_of(const Attributes& attributes) { return static_cast<Reduction>(attributes.reduction); }

bool is_whole(Reduction reduction) { return reduction == Reduction::kSum || reduction == Reduction::kMean; }

Shape loss_shape(const Shape& pred, Reduction reduction) {
  return is_whole(reduction) ? Shape{} : reduction == Reduction::kRow && !pred.empty() ? without_classes(pred) : pred;
}

// The last checks before raw pointers: the Python functions have told the user already, in friendlier words.
Problem problem_of(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                   const Attributes& attributes) {
  PD_CHECK(attributes.kind >= 0 && attributes.kind <= 2, "kind: expected 0 (dense), 1 (masked) or 2 (pair)");
  PD_CHECK(attributes.reduction >= 0 && attributes.reduction <= 3,
           "reduction: expected 0 (none), 1 (row), 2 (sum) or 3 (mean)");
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
  problem.reduce_rows = reduction_of(attributes) != Reduction::kNone;
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

// How many of the rows' sums the result is divided into: 1, or the number of elements for a mean.
double divisor(const Problem& problem, Reduction reduction) {
  return reduction == Reduction::kMean ? double(problem.rows) * double(problem.classes) : 1;
}

// A number for each row.
class Rows {
 public:
  Rows(const Problem& problem, double value)
      : type_(paddle_vfl::computed_in(problem.pred.type)),
        float32_(type_ == DType::kFloat32 ? problem.rows : 0, static_cast<float>(value)),
        float64_(type_ == DType::kFloat64 ? problem.rows : 0, value) {}
  void* data() { return type_ == DType::kFloat32 ? static_cast<void*>(float32_.data()) : float64_.data(); }
  paddle_vfl::Array array() { return {data(), type_}; }

 private:
  DType type_;
  std::vector<float> float32_;
  std::vector<double> float64_;
};

// The sum or mean of the losses of the rows.
Tensor reduced(Rows& losses, const Problem& problem, const Tensor& pred, Reduction reduction) {
  const double total = paddle_vfl::sum_cpu(losses.array(), problem.rows) / divisor(problem, reduction);
  return paddle::full({}, total, loss_dtype(pred.dtype()), pred.place());
}

// The gradient of the losses of the rows, of that of their sum or mean.
Rows gradient_of_rows(const Tensor& grad_loss, const Problem& problem, Reduction reduction) {
  const double value = grad_loss.dtype() == DataType::FLOAT64 ? *grad_loss.data<double>() : *grad_loss.data<float>();
  return Rows(problem, value / divisor(problem, reduction));
}

void check_whole(const Tensor& pred) {
  PD_CHECK(pred.is_cpu(), "reduction: sums and means of a tensor on a GPU are left to Paddle");
}

// For the losses of the elements or of the rows. A row without classes has the loss 0.
Tensor empty_losses(const Tensor& pred, const Problem& problem) {
  const Shape shape = loss_shape(pred.shape(), problem.reduce_rows ? Reduction::kRow : Reduction::kNone);
  return problem.classes == 0 ? paddle::full(shape, 0, loss_dtype(pred.dtype()), pred.place())
                              : paddle::empty(shape, loss_dtype(pred.dtype()), pred.place());
}

Tensor empty_gradient(const Tensor& pred, DataType dtype) {
  const size_t bytes = pred.numel() * phi::SizeOf(dtype);
  void* const buffer = !pred.is_cpu() || bytes < paddle_vfl::kLeastBuffer ? nullptr : paddle_vfl::acquire_buffer(bytes);
  if (buffer == nullptr) return paddle::empty(pred.shape(), dtype, pred.place());
  return paddle::from_blob(buffer, pred.shape(), dtype, phi::DataLayout::NCHW, pred.place(),
                           paddle_vfl::release_buffer);
}

void check_upstream(const Tensor& pred, const Tensor& grad_loss, Reduction reduction) {
  PD_CHECK(grad_loss.place() == pred.place(), "pred and grad_loss are on different devices");
  PD_CHECK(grad_loss.shape() == loss_shape(pred.shape(), reduction),
           "the shape of the loss gradient does not fit that of pred");
}

std::vector<Tensor> forward(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                            const Attributes& attributes) {
  check_device(pred);
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  if (const Reduction reduction = reduction_of(attributes); is_whole(reduction)) {
    check_whole(pred);
    Rows losses(problem, 0);
    if (problem.rows > 0) paddle_vfl::forward_cpu(problem, losses.data());
    return {reduced(losses, problem, pred, reduction)};
  }
  Tensor losses = empty_losses(pred, problem);
  if (problem.rows > 0) run_forward(problem, pred, losses);
  return {losses};
}

std::vector<Tensor> backward(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& class_weight,
                             const Tensor& grad_loss, const Attributes& attributes) {
  check_device(pred);
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  check_upstream(pred, grad_loss, reduction_of(attributes));
  Tensor grad_pred = empty_gradient(pred, pred.dtype());
  if (problem.rows == 0) return {grad_pred};
  if (const Reduction reduction = reduction_of(attributes); is_whole(reduction)) {
    check_whole(pred);
    paddle_vfl::backward_cpu(problem, gradient_of_rows(grad_loss, problem, reduction).array(), grad_pred.data());
  } else {
    run_backward(problem, pred, grad_loss, grad_pred);
  }
  return {grad_pred};
}

std::vector<Tensor> one_pass_forward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                     const Tensor& class_weight, const Attributes& attributes) {
  const Reduction reduction = reduction_of(attributes);
  PD_CHECK(pred.is_cpu() && reduction != Reduction::kNone, "one pass: expected a tensor on the CPU, and a reduction");
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  Tensor gradient = empty_gradient(pred, loss_dtype(pred.dtype())), loss;
  const auto run = [&](void* losses) {
    if (problem.rows > 0) paddle_vfl::one_pass_cpu(problem, losses, gradient.data());
  };
  if (is_whole(reduction)) {
    Rows losses(problem, 0);
    run(losses.data());
    loss = reduced(losses, problem, pred, reduction);
  } else {
    loss = empty_losses(pred, problem);
    run(loss.data());
  }
  return {loss, gradient, paddle::full({1}, 0, DataType::INT32, pred.place())};
}

std::vector<Tensor> one_pass_backward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                      const Tensor& class_weight, Tensor gradient, Tensor taken,
                                      const Tensor& grad_loss, const Attributes& attributes) {
  const Problem problem = problem_of(pred, target, label, class_weight, attributes);
  const Reduction reduction = reduction_of(attributes);
  check_upstream(pred, grad_loss, reduction);
  PD_CHECK(grad_loss.dtype() == gradient.dtype(), "grad_loss: expected the dtype of the loss");
  if (problem.rows == 0) return {empty_gradient(pred, pred.dtype())};
  Tensor scaled;
  if (gradient.dtype() != pred.dtype()) {
    scaled = empty_gradient(pred, pred.dtype());
  } else {
    int& is_taken = *taken.data<int>();
    if (is_taken) {
      gradient = empty_gradient(pred, pred.dtype());
      paddle_vfl::one_pass_cpu(problem, Rows(problem, 0).data(), gradient.data());
    }
    is_taken = 1;
    scaled = gradient;
  }
  if (is_whole(reduction))
    paddle_vfl::scale_cpu(problem, gradient_of_rows(grad_loss, problem, reduction).array(), gradient.data(),
                          scaled.data());
  else
    paddle_vfl::scale_cpu(problem, array_of(grad_loss, "grad_loss"), gradient.data(), scaled.data());
  return {scaled};
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

  static std::vector<Tensor> one_pass_forward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                              const Tensor& class_weight, Values... values) {
    return ::one_pass_forward(pred, target, label, class_weight, {values...});
  }

  static std::vector<Tensor> one_pass_backward(const Tensor& pred, const Tensor& target, const Tensor& label,
                                               const Tensor& class_weight, const Tensor& gradient, const Tensor& taken,
                                               const Tensor& grad_loss, Values... values) {
    return ::one_pass_backward(pred, target, label, class_weight, gradient, taken, grad_loss, {values...});
  }

  // Without this Paddle would leave second derivatives out without a word.
  static std::vector<Tensor> double_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, Values...) {
    PD_THROW("the fused varifocal loss has no second derivative: use paddle_vfl.reference.varifocal_loss for it");
  }

  static std::vector<Shape> infer_shape(const Shape& pred, const Shape&, const Shape&, const Shape&, Values... values) {
    return {loss_shape(pred, reduction_of(Attributes{values...}))};
  }

  static std::vector<Shape> infer_one_pass_shape(const Shape& pred, const Shape&, const Shape&, const Shape&,
                                                 Values... values) {
    return {loss_shape(pred, reduction_of(Attributes{values...})), pred, {1}};
  }
};

std::vector<DataType> infer_dtype(const DataType& pred, const DataType&, const DataType&, const DataType&) {
  return {loss_dtype(pred)};
}

std::vector<DataType> infer_one_pass_dtype(const DataType& pred, const DataType&, const DataType&, const DataType&) {
  return {loss_dtype(pred), loss_dtype(pred), DataType::INT32};
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

PD_BUILD_OP(paddle_vfl_varifocal_loss_one_pass)
    .Inputs({"Pred", "Target", "Label", "ClassWeight"})
    .Outputs({"Loss", "Gradient", "Taken"})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::one_pass_forward))
    .SetInferShapeFn(PD_INFER_SHAPE(Operator::infer_one_pass_shape))
    .SetInferDtypeFn(PD_INFER_DTYPE(infer_one_pass_dtype));

PD_BUILD_GRAD_OP(paddle_vfl_varifocal_loss_one_pass)
    .Inputs({"Pred", "Target", "Label", "ClassWeight", "Gradient", "Taken", paddle::Grad("Loss")})
    .Outputs({paddle::Grad("Pred")})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::one_pass_backward));

PD_BUILD_DOUBLE_GRAD_OP(paddle_vfl_varifocal_loss_one_pass)
    .Inputs({"Pred", "Target", paddle::Grad("Loss"), paddle::Grad(paddle::Grad("Pred"))})
    .Outputs({paddle::Grad(paddle::Grad("Loss"))})
    .Attrs(paddle_vfl::attribute_texts())
    .SetKernelFn(PD_KERNEL(Operator::double_backward));
