// The CUDA kernels for bfloat16 predictions.
#include "launch.cuh"

template struct paddle_vfl::cuda::Kernels<paddle_vfl::DType::kBFloat16>;
