#include "emulator.h"

#include <ucontext.h>

#include <vector>

EmulatedIndex threadIdx, blockIdx;

namespace {

constexpr size_t kStack = 64 * 1024;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  uint64_t given = 0;
  bool done = false;
};

std::vector<Fiber> fibers;
ucontext_t scheduler;
void (*body)(void*);
void* body_argument;

void entry() {
  body(body_argument);
  fibers[threadIdx.x].done = true;
}

void yield() {
  Fiber& self = fibers[threadIdx.x];
  swapcontext(&self.context, &scheduler);
}

}  // namespace

namespace emulator {

// The scheduler resumes every fiber once before it resumes one again, so that all have arrived then.
void barrier() { yield(); }

uint64_t exchange(uint64_t value, unsigned lane) {
  const unsigned warp = threadIdx.x / 32 * 32;
  fibers[threadIdx.x].given = value;
  yield();
  const uint64_t taken = fibers[warp + lane].given;
  yield();  // nobody gives the next value before all have taken this one
  return taken;
}

void run_blocks(unsigned blocks, unsigned threads, void (*thread)(void*), void* argument) {
  body = thread;
  body_argument = argument;
  fibers.resize(threads);
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    for (Fiber& fiber : fibers) {
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = fiber.stack.size();
      fiber.context.uc_link = &scheduler;
      fiber.done = false;
      makecontext(&fiber.context, entry, 0);
    }
    for (bool running = true; running;) {
      running = false;
      for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) {
        if (fibers[threadIdx.x].done) continue;
        swapcontext(&scheduler, &fibers[threadIdx.x].context);
        running = true;
      }
    }
  }
}

}  // namespace emulator

// What is left of CUDA's run time.
extern "C" {
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaSuccess ? "cudaSuccess" : "cudaErrorInvalidConfiguration";
}
const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
}
