// Paddle's side of the operator: registration, shapes and types, argument checks, choice of the backend.
//
//   paddle_vfl_varifocal_loss(Pred, Target, Label) -> Loss, and its gradient with respect to Pred.
//
// Attributes: iou_weighted, use_sigmoid, reduce_rows; kind, a TargetKind: what Target and Label are; alpha and gamma
// are decimal texts, because Paddle 2.6 has no attribute of double precision. A dense target has no label: Target
// stands in its place, for Paddle's optional inputs crash in distributed tensors and lose tensors without elements.
#include <locale>
#include <sstream>

#include "cpu/buffers.h"
#include "cpu/kernels.h"
#ifdef VFL_CUDA
#include "cuda/varifocal_cuda.h"
#endif
#include "paddle/extension.h"
#include "spmd_rule.h"
#include "varifocal.h"

namespace {

using paddle::DataType;
using paddle::Tensor;
using paddle_vfl::TargetKind;
using Shape = std::vector<int64_t>;

double number(const std::string& text) {
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0;
  PD_CHECK(stream >> value && value >= 0, "alpha and gamma: expected a number >= 0, got '", text, "'");
  return value;
}

paddle_vfl::DType dtype_of(const Tensor& tensor, const char* name) {
  switch (tensor.dtype()) {
    case DataType::FLOAT32: return paddle_vfl::DType::kFloat32;
    case DataType::FLOAT64: return paddle_vfl::DType::kFloat64;
    case DataType::FLOAT16: return paddle_vfl::DType::kFloat16;
    case DataType::BFLOAT16: return paddle_vfl::DType::kBFloat16;
    case DataType::INT32: return paddle_vfl::DType::kInt32;
    case DataType::INT64: return paddle_vfl::DType::kInt64;
    default: PD_THROW(name, " has an unsupported dtype");
  }
}

bool is_integer(paddle_vfl::DType type) {
  return type == paddle_vfl::DType::kInt32 || type == paddle_vfl::DType::kInt64;
}

paddle_vfl::Array array_of(const Tensor& tensor, const char* name) { return {tensor.data(), dtype_of(tensor, name)}; }

Shape without_classes(Shape shape) {
  shape.pop_back();
  return shape;
}

// The last checks before raw pointers: the Python functions have told the user already, in friendlier words.
paddle_vfl::Problem problem_of(const Tensor& pred, const Tensor& target, const Tensor& label, bool iou_weighted,
                               bool use_sigmoid, bool reduce_rows, int kind, const std::string& alpha,
                               const std::string& gamma) {
  PD_CHECK(kind >= 0 && kind <= 2, "kind: expected 0 (dense), 1 (masked) or 2 (pair)");
  paddle_vfl::Problem problem;
  problem.kind = static_cast<TargetKind>(kind);
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
  PD_CHECK(!is_integer(problem.pred.type) && !is_integer(problem.target.type),
           "pred and target: expected floating point");
  PD_CHECK(is_integer(problem.label.type) == pair,
           pair ? "label: expected int32 or int64" : "label: expected floating point");
  problem.alpha = number(alpha);
  problem.gamma = number(gamma);
  problem.iou_weighted = iou_weighted;
  problem.use_sigmoid = use_sigmoid;
  problem.reduce_rows = reduce_rows;
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

void run_forward(const paddle_vfl::Problem& problem, const Tensor& pred, Tensor& loss) {
#ifdef VFL_CUDA
  if (pred.is_gpu()) return paddle_vfl::forward_cuda(problem, loss.data(), pred.place().GetDeviceId(), pred.stream());
#endif
  paddle_vfl::forward_cpu(problem, loss.data());
}

void run_backward(const paddle_vfl::Problem& problem, const Tensor& pred, const Tensor& grad_loss, Tensor& grad_pred) {
#ifdef VFL_CUDA
  if (pred.is_gpu()) {
    // what the forward pass returned, so nothing else comes back
    const DataType expected = problem.pred.type == paddle_vfl::DType::kFloat64 ? DataType::FLOAT64 : DataType::FLOAT32;
    PD_CHECK(grad_loss.dtype() == expected, "grad_loss: expected the dtype of the loss");
    return paddle_vfl::backward_cuda(problem, grad_loss.data(), grad_pred.data(), pred.place().GetDeviceId(),
                                     pred.stream());
  }
#endif
  paddle_vfl::backward_cpu(problem, array_of(grad_loss, "grad_loss"), grad_pred.data());
}

DataType loss_dtype(DataType pred) { return pred == DataType::FLOAT64 ? pred : DataType::FLOAT32; }

std::vector<Tensor> forward(const Tensor& pred, const Tensor& target, const Tensor& label, bool iou_weighted,
                            bool use_sigmoid, bool reduce_rows, int kind, const std::string& alpha,
                            const std::string& gamma) {
  check_device(pred);
  const paddle_vfl::Problem problem =
      problem_of(pred, target, label, iou_weighted, use_sigmoid, reduce_rows, kind, alpha, gamma);
  const Shape shape = reduce_rows ? without_classes(pred.shape()) : pred.shape();
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

std::vector<Tensor> backward(const Tensor& pred, const Tensor& target, const Tensor& label, const Tensor& grad_loss,
                             bool iou_weighted, bool use_sigmoid, bool reduce_rows, int kind, const std::string& alpha,
                             const std::string& gamma) {
  check_device(pred);
  const paddle_vfl::Problem problem =
      problem_of(pred, target, label, iou_weighted, use_sigmoid, reduce_rows, kind, alpha, gamma);
  PD_CHECK(grad_loss.place() == pred.place(), "pred and grad_loss are on different devices");
  PD_CHECK(grad_loss.shape() == (reduce_rows ? without_classes(pred.shape()) : pred.shape()),
           "the shape of the loss gradient does not fit that of pred");
  Tensor grad_pred = empty_gradient(pred);
  if (problem.rows > 0) run_backward(problem, pred, grad_loss, grad_pred);
  return {grad_pred};
}

// Without this Paddle would leave second derivatives out without a word.
std::vector<Tensor> no_double_backward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, bool, bool, bool,
                                       int, const std::string&, const std::string&) {
  PD_THROW("the fused varifocal loss has no second derivative: use paddle_vfl.reference.varifocal_loss for it");
}

std::vector<Shape> infer_shape(const Shape& pred, const Shape&, const Shape&, bool, bool, bool reduce_rows, int,
                               const std::string&, const std::string&) {
  return {reduce_rows && !pred.empty() ? without_classes(pred) : pred};
}

std::vector<DataType> infer_dtype(const DataType& pred, const DataType&, const DataType&) { return {loss_dtype(pred)}; }

}  // namespace

#define VFL_ATTRIBUTES                                              \
  {"iou_weighted: bool", "use_sigmoid: bool",  "reduce_rows: bool", \
   "kind: int",          "alpha: std::string", "gamma: std::string"}

PD_BUILD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", "Label"})
    .Outputs({"Loss"})
    .Attrs(VFL_ATTRIBUTES)
    .SetKernelFn(PD_KERNEL(forward))
    .SetInferShapeFn(PD_INFER_SHAPE(infer_shape))
    .SetInferDtypeFn(PD_INFER_DTYPE(infer_dtype)) VFL_SPMD_RULE(paddle_vfl::spmd_forward);

PD_BUILD_GRAD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", "Label", paddle::Grad("Loss")})
    .Outputs({paddle::Grad("Pred")})
    .Attrs(VFL_ATTRIBUTES)
    .SetKernelFn(PD_KERNEL(backward)) VFL_SPMD_RULE(paddle_vfl::spmd_backward);

PD_BUILD_DOUBLE_GRAD_OP(paddle_vfl_varifocal_loss)
    .Inputs({"Pred", "Target", paddle::Grad("Loss"), paddle::Grad(paddle::Grad("Pred"))})
    .Outputs({paddle::Grad(paddle::Grad("Loss"))})
    .Attrs(VFL_ATTRIBUTES)
    .SetKernelFn(PD_KERNEL(no_double_backward));
