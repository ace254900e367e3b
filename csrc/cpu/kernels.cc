#include "kernels.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "threads.h"

#ifdef VFL_X86_KERNELS
#include <cpuid.h>
#endif

namespace paddle_vfl {

#define VFL_DECLARE(isa)                                                   \
  namespace isa {                                                          \
  void forward(const Problem&, void*, int64_t, int64_t);                   \
  void backward(const Problem&, Array, void*, int64_t, int64_t);           \
  void one_pass(const Problem&, void*, void*, int64_t, int64_t);           \
  void scale(const Problem&, Array, const void*, void*, int64_t, int64_t); \
  }
#ifdef VFL_X86_KERNELS
VFL_DECLARE(avx512)
VFL_DECLARE(avx2)
#endif
VFL_DECLARE(portable)
#undef VFL_DECLARE

namespace {

#ifdef VFL_X86_KERNELS
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_f16c() {  // which clang's __builtin_cpu_supports does not know
  unsigned a, b, c = 0, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }
#endif
bool always() { return true; }

std::string names(bool only_supported) {
  std::string list;
  for (const Kernels& kernels : all_kernels())
    if (!only_supported || kernels.supported()) list += (list.empty() ? "" : ", ") + std::string(kernels.name);
  return list;
}

const Kernels* find(const std::string& name) {
  for (const Kernels& kernels : all_kernels()) {
    if (kernels.name != name) continue;
    if (!kernels.supported())
      throw std::invalid_argument("this machine cannot run " + name + "; it can run: " + names(true));
    return &kernels;
  }
  throw std::invalid_argument("there is no instruction set '" + name + "'; expected one of: " + names(false));
}

const Kernels* choose() {
  const char* wanted = std::getenv("PADDLE_VFL_ISA");
  if (wanted != nullptr && *wanted != '\0') return find(wanted);
  for (const Kernels& kernels : all_kernels())
    if (kernels.supported()) return &kernels;
  return &all_kernels().back();
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> kernels{choose()};
  return kernels;
}

template <class T>
double sum(const T* values, int64_t count) {
  double lanes[8] = {}, total = 0;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += double(values[i + lane]);
  for (const double lane : lanes) total += lane;
  for (; i < count; ++i) total += double(values[i]);
  return total;
}

// Rows that are worth handing to another thread: about 32,768 elements.
int64_t grain(const Problem& problem) { return 32768 / (problem.classes > 0 ? problem.classes : 1) + 1; }

}  // namespace

// Intel's own prefetchers stop at the end of a page; 1 to 8 KiB are as good. Zen 4 needs none, and more costs time;
// on Zen 3 it changes nothing.
ptrdiff_t prefetch_distance() {
  static const ptrdiff_t distance = [] {
    if (const char* value = std::getenv("PADDLE_VFL_PREFETCH")) return static_cast<ptrdiff_t>(std::atol(value));
#ifdef VFL_X86_KERNELS
    if (__builtin_cpu_is("intel")) return ptrdiff_t(2048);
#endif
    return ptrdiff_t(0);
  }();
  return distance;
}

const std::vector<Kernels>& all_kernels() {
  static const std::vector<Kernels> kernels = {
#ifdef VFL_X86_KERNELS
      {"avx512", has_avx512, avx512::forward, avx512::backward, avx512::one_pass, avx512::scale},
      {"avx2", has_avx2, avx2::forward, avx2::backward, avx2::one_pass, avx2::scale},
#endif
      {"portable", always, portable::forward, portable::backward, portable::one_pass, portable::scale},
  };
  return kernels;
}

std::string get_isa() { return current().load()->name; }
void set_isa(const std::string& name) { current() = find(name); }

void forward_cpu(const Problem& given, void* loss) {
  const Problem problem = flattened(given);
  const ForwardKernel kernel = current().load()->forward;
  parallel_for(problem.rows, grain(problem), [&](int64_t begin, int64_t end) { kernel(problem, loss, begin, end); });
}

void backward_cpu(const Problem& given, Array grad_loss, void* grad_pred) {
  const Problem problem = flattened(given);
  const BackwardKernel kernel = current().load()->backward;
  parallel_for(problem.rows, grain(problem),
               [&](int64_t begin, int64_t end) { kernel(problem, grad_loss, grad_pred, begin, end); });
}

void one_pass_cpu(const Problem& given, void* loss, void* grad) {
  const Problem problem = flattened(given);
  const OnePassKernel kernel = current().load()->one_pass;
  parallel_for(problem.rows, grain(problem),
               [&](int64_t begin, int64_t end) { kernel(problem, loss, grad, begin, end); });
}

void scale_cpu(const Problem& problem, Array factor, const void* grad, void* scaled) {
  const ScaleKernel kernel = current().load()->scale;
  parallel_for(problem.rows, grain(problem),
               [&](int64_t begin, int64_t end) { kernel(problem, factor, grad, scaled, begin, end); });
}

double sum_cpu(Array values, int64_t count) {
  return values.type == DType::kFloat64 ? sum(static_cast<const double*>(values.data), count)
                                        : sum(static_cast<const float*>(values.data), count);
}

}  // namespace paddle_vfl
