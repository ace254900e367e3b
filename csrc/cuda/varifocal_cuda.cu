// The entries of the CUDA backend: the device and the type of the predictions.
#include "varifocal_cuda.h"

#include "launch.cuh"

namespace paddle_vfl {
namespace cuda {

#define VFL_DECLARE(P)                                                  \
  extern template void forward<P>(const Problem&, void*, cudaStream_t); \
  extern template void backward<P>(const Problem&, const void*, void*, cudaStream_t);
VFL_DECLARE(float)
VFL_DECLARE(double)
VFL_DECLARE(__half)
VFL_DECLARE(__nv_bfloat16)
#undef VFL_DECLARE

namespace {

// Makes a device current, and the former one again.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) : device_(device) {
    check(cudaGetDevice(&former_), "cudaGetDevice");
    if (former_ != device_) check(cudaSetDevice(device_), "cudaSetDevice");
  }
  ~DeviceGuard() {
    if (former_ != device_) cudaSetDevice(former_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int device_, former_ = 0;
};

}  // namespace
}  // namespace cuda

void forward_cuda(const Problem& problem, void* loss, int device, void* stream) {
  const cuda::DeviceGuard guard(device);
  const cudaStream_t queue = static_cast<cudaStream_t>(stream);
  switch (problem.pred.type) {
    case DType::kFloat64: return cuda::forward<double>(problem, loss, queue);
    case DType::kFloat16: return cuda::forward<__half>(problem, loss, queue);
    case DType::kBFloat16: return cuda::forward<__nv_bfloat16>(problem, loss, queue);
    default: return cuda::forward<float>(problem, loss, queue);
  }
}

void backward_cuda(const Problem& problem, const void* grad_loss, void* grad_pred, int device, void* stream) {
  const cuda::DeviceGuard guard(device);
  const cudaStream_t queue = static_cast<cudaStream_t>(stream);
  switch (problem.pred.type) {
    case DType::kFloat64: return cuda::backward<double>(problem, grad_loss, grad_pred, queue);
    case DType::kFloat16: return cuda::backward<__half>(problem, grad_loss, grad_pred, queue);
    case DType::kBFloat16: return cuda::backward<__nv_bfloat16>(problem, grad_loss, grad_pred, queue);
    default: return cuda::backward<float>(problem, grad_loss, grad_pred, queue);
  }
}

std::string cuda_version() {
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
}

}  // namespace paddle_vfl
