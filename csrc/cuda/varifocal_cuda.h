// The CUDA backend: no Paddle, and no CUDA header either, so that a host compiler can include it.
#pragma once

#include <string>

#include "../varifocal.h"

namespace paddle_vfl {

// All arrays are on `device`; the work is queued on `stream`, a cudaStream_t. The loss is float64 for float64
// predictions and float32 otherwise, and so is grad_loss. Throw std::runtime_error that names the kernel and CUDA's
// error.
void forward_cuda(const Problem& problem, void* loss, int device, void* stream);
void backward_cuda(const Problem& problem, const void* grad_loss, void* grad_pred, int device, void* stream);

// CUDA's version that this was compiled with, such as "13.0".
std::string cuda_version();

}  // namespace paddle_vfl
