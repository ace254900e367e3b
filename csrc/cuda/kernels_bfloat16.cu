// The CUDA kernels for bfloat16 predictions.
#include "launch.cuh"

namespace paddle_vfl {
namespace cuda {

template void forward<__nv_bfloat16>(const Problem&, void*, cudaStream_t);
template void backward<__nv_bfloat16>(const Problem&, const void*, void*, cudaStream_t);

}  // namespace cuda
}  // namespace paddle_vfl
