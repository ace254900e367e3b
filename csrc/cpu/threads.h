// A small pool of threads of our own. OpenMP would bring a second runtime (g++'s libgomp beside Paddle's libiomp5)
// whose threads compete with Paddle's for the cores, and which hangs in a child forked after its first use.
#pragma once

#include <cstdint>
#include <functional>

namespace paddle_vfl {

// At first PADDLE_VFL_NUM_THREADS, else OMP_NUM_THREADS, else 1 (Paddle sets OMP_NUM_THREADS=1 where it is unset).
int get_num_threads();
void set_num_threads(int n);  // n >= 1

// Calls body(begin, end) on parts of [0, count) of at least `grain`, on up to get_num_threads() threads, and returns
// when all are done. Runs on the calling thread alone if there is little to do or if another thread is using the pool.
void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace paddle_vfl
