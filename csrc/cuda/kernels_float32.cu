// The CUDA kernels for float32 predictions.
#include "launch.cuh"

template struct paddle_vfl::cuda::Kernels<paddle_vfl::DType::kFloat32>;
