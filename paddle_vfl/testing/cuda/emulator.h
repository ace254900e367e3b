// Runs the CUDA kernels on the host, for machines without a GPU: every thread of a block is a fiber, and a barrier or a
// shuffle passes on to the next one. Blocks run one after the other. It shows that indices, edges and sums are right,
// not that memory accesses are ordered on a GPU, nor what they cost.
//
// Compile the kernels as C++ with this in front of them: g++ -x c++ -include emulator.h.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __shared__      static
#define __forceinline__ inline
#define __launch_bounds__(...)

using std::min;

struct EmulatedIndex {
  unsigned x = 0;
};
extern EmulatedIndex threadIdx, blockIdx;

namespace emulator {

void barrier();
// the value that the thread `lane` of the warp gives to the same exchange
uint64_t exchange(uint64_t value, unsigned lane);
void run_blocks(unsigned blocks, unsigned threads, void (*thread)(void*), void* argument);

}  // namespace emulator

inline void __syncthreads() { emulator::barrier(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulator::exchange(bits, (threadIdx.x % 32) ^ static_cast<unsigned>(mask));
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

namespace emulator {

template <class... Parameters, size_t... I>
cudaError_t launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, void** arguments,
                   std::index_sequence<I...>) {
  auto call = [&] { kernel(*static_cast<Parameters*>(arguments[I])...); };
  run_blocks(blocks, threads, [](void* c) { (*static_cast<decltype(call)*>(c))(); }, &call);
  return cudaSuccess;
}

}  // namespace emulator

template <class... Parameters>
cudaError_t cudaLaunchKernel(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, void** arguments, size_t,
                             cudaStream_t) {
  if (blocks.x == 0) return cudaErrorInvalidConfiguration;
  return emulator::launch(kernel, blocks.x, threads.x, arguments, std::index_sequence_for<Parameters...>());
}
