// The CUDA kernels for float64 predictions.
#include "launch.cuh"

namespace paddle_vfl {
namespace cuda {

template void forward<double>(const Problem&, void*, cudaStream_t);
template void backward<double>(const Problem&, const void*, void*, cudaStream_t);

}  // namespace cuda
}  // namespace paddle_vfl
