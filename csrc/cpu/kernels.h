// The CPU kernels: one implementation (kernels.inl), compiled once per instruction set.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../varifocal.h"

// Versions beside the portable one; VFL_PORTABLE leaves them out.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(VFL_PORTABLE)
#define VFL_X86_KERNELS
#endif

namespace paddle_vfl {

// Loss of the rows [begin, end), float (double for double predictions): one number an element, or a row if reduce_rows.
using ForwardKernel = void (*)(const Problem&, void* loss, int64_t begin, int64_t end);
// Gradient of the same rows in the type of pred, from the gradient of the loss.
using BackwardKernel = void (*)(const Problem&, Array grad_loss, void* grad_pred, int64_t begin, int64_t end);

// Loss of the rows, as forward, and the gradient of its sum, both of which are dear to compute alone; the gradient in
// the type computed in.
using OnePassKernel = void (*)(const Problem&, void* loss, void* grad, int64_t begin, int64_t end);
// That gradient times a factor for each of the rows, factor and gradient of the type computed in, into the type of
// pred; `scaled` may be `grad` where these are one type.
using ScaleKernel = void (*)(const Problem&, Array factor, const void* grad, void* scaled, int64_t begin, int64_t end);

struct Kernels {
  const char* name;
  bool (*supported)();
  ForwardKernel forward;
  BackwardKernel backward;
  OnePassKernel one_pass;
  ScaleKernel scale;
};

// Best first; the last one runs anywhere.
const std::vector<Kernels>& all_kernels();

// The instruction set in use: at first the best one that the machine has, or the one that PADDLE_VFL_ISA names.
std::string get_isa();
// Throws std::invalid_argument if there is no such version or the machine cannot run it.
void set_isa(const std::string& name);

// How many bytes ahead of their use the kernels ask for memory: PADDLE_VFL_PREFETCH, or what is best for the processor.
// 0 asks for what is loaded next anyway.
ptrdiff_t prefetch_distance();

// The whole problem, on get_num_threads() threads.
void forward_cpu(const Problem& problem, void* loss);
void backward_cpu(const Problem& problem, Array grad_loss, void* grad_pred);
void one_pass_cpu(const Problem& problem, void* loss, void* grad);
void scale_cpu(const Problem& problem, Array factor, const void* grad, void* scaled);

// The sum of float32 or float64 numbers, in double precision and in an order that depends on their number alone.
double sum_cpu(Array values, int64_t count);

}  // namespace paddle_vfl
