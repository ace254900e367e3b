// The entries of the CUDA backend: the device and the type of the predictions.
#include "varifocal_cuda.h"

#include "backend.cuh"
#include "check.h"
#include "kernels.h"

namespace paddle_vfl {
namespace cuda {
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
  cuda::dispatch(FloatingTypes(), problem.pred.type, [&](auto type) {
    cuda::Kernels<decltype(type)::value>::forward(problem, loss, static_cast<cudaStream_t>(stream));
  });
}

void backward_cuda(const Problem& problem, const void* grad_loss, void* grad_pred, int device, void* stream) {
  const cuda::DeviceGuard guard(device);
  cuda::dispatch(FloatingTypes(), problem.pred.type, [&](auto type) {
    cuda::Kernels<decltype(type)::value>::backward(problem, grad_loss, grad_pred, static_cast<cudaStream_t>(stream));
  });
}

std::string cuda_version() {
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
}

}  // namespace paddle_vfl
