// The kernels for one type of predictions. Each type has a kernels_*.cu of its own, so that they are compiled in
// parallel.
#pragma once

#include <cuda_runtime.h>

#include "../varifocal.h"

namespace paddle_vfl {
namespace cuda {

template <DType kPred>
struct Kernels {
  static void forward(const Problem& problem, void* loss, cudaStream_t stream);
  static void backward(const Problem& problem, const void* grad_loss, void* grad_pred, cudaStream_t stream);
};

}  // namespace cuda
}  // namespace paddle_vfl
