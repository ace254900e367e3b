// The CUDA kernels for float16 predictions.
#include "launch.cuh"

namespace paddle_vfl {
namespace cuda {

template void forward<__half>(const Problem&, void*, cudaStream_t);
template void backward<__half>(const Problem&, const void*, void*, cudaStream_t);

}  // namespace cuda
}  // namespace paddle_vfl
