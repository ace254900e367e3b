// The CUDA kernels for float32 predictions.
#include "launch.cuh"

namespace paddle_vfl {
namespace cuda {

template void forward<float>(const Problem&, void*, cudaStream_t);
template void backward<float>(const Problem&, const void*, void*, cudaStream_t);

}  // namespace cuda
}  // namespace paddle_vfl
