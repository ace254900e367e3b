// Checks of the CPU kernels' use of memory and threads, without Paddle. Prints what went wrong and exits with 1, or is
// killed.
//
//   kernel_checks bounds   every instruction set, target kind, dtype and some sizes; arrays end, then begin, at pages
//                          that may not be touched (under AddressSanitizer: in blocks of their exact size)
//   kernel_checks threads  several threads call the operator at once, while it uses threads of its own
//   kernel_checks buffers  several threads take buffers and give them back
//   kernel_checks overrun  touches the byte behind an array, to show that this is noticed
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../../csrc/cpu/buffers.h"
#include "../../csrc/cpu/kernels.h"
#include "../../csrc/cpu/threads.h"
#include "stored.h"

using namespace paddle_vfl;

namespace {

int failures = 0;

void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  ++failures;
}

// Memory with nothing to be touched around it, filled with 0xff, a NaN of every type.
class Guarded {
 public:
  Guarded(size_t bytes, bool at_end) : bytes_(bytes) {
#ifdef __SANITIZE_ADDRESS__
    (void)at_end;
    data_ = static_cast<char*>(std::malloc(bytes == 0 ? 1 : bytes));
#else
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), inner = (bytes + page) / page * page;
    whole_ = inner + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = at_end ? base_ + page + inner - bytes : base_ + page;
#endif
    std::memset(data_, 0xff, bytes);
  }
  ~Guarded() {
#ifdef __SANITIZE_ADDRESS__
    std::free(data_);
#else
    munmap(base_, whole_);
#endif
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  char* data() { return data_; }
  // whether one element of the type is still as it was filled
  bool has_poison(DType type) const {
    const std::vector<char> poison(size_of(type), '\xff');
    for (size_t i = 0; i < bytes_; i += poison.size())
      if (std::memcmp(data_ + i, poison.data(), poison.size()) == 0) return true;
    return false;
  }

 private:
  size_t bytes_;
  char* data_ = nullptr;
#ifndef __SANITIZE_ADDRESS__
  char* base_ = nullptr;
  size_t whole_ = 0;
#endif
};

// A call of the operator.
struct Call {
  TargetKind kind;
  DType pred, target;
  int64_t rows, classes;
  double gamma;
  bool use_sigmoid, reduce_rows;
};

std::string name_of(const Call& c) {
  return get_isa() + " kind " + std::to_string(int(c.kind)) + " types " + std::to_string(int(c.pred)) + " " +
         std::to_string(int(c.target)) + " " + std::to_string(c.rows) + " x " + std::to_string(c.classes) + " gamma " +
         std::to_string(c.gamma) + (c.use_sigmoid ? " logits" : " probabilities") +
         (c.reduce_rows ? " rows" : " elements");
}

void check_bounds(const Call& c, bool at_end, std::minstd_rand& random) {
  const auto uniform = [&] { return double(random()) / double(random.max()); };
  const bool pair = c.kind == TargetKind::kPair;
  const size_t elements = static_cast<size_t>(c.rows * c.classes), rows = static_cast<size_t>(c.rows),
               targets = pair ? rows : elements;
  const DType label_type = pair ? (c.rows % 2 ? DType::kInt32 : DType::kInt64) : c.target;
  const DType computed = computed_in(c.pred);
  const size_t results = c.reduce_rows ? rows : elements;
  Guarded pred(elements * size_of(c.pred), at_end), target(targets * size_of(c.target), at_end),
      label(targets * size_of(label_type), at_end);
  Guarded loss(results * size_of(computed), at_end), grad_loss(results * size_of(computed), at_end),
      grad(elements * size_of(c.pred), at_end);
  for (size_t i = 0; i < elements; ++i)
    store(pred.data() + i * size_of(c.pred), c.pred, c.use_sigmoid ? 8 * uniform() - 5 : 0.05 + 0.9 * uniform());
  for (size_t i = 0; i < targets; ++i) {
    store(target.data() + i * size_of(c.target), c.target, i % 7 ? 0 : uniform());
    const int64_t id = static_cast<int64_t>(uniform() * double(c.classes + 3)) - 1;
    const int32_t small = static_cast<int32_t>(id);
    if (pair)
      std::memcpy(label.data() + i * size_of(label_type),
                  size_of(label_type) == 4 ? static_cast<const void*>(&small) : &id, size_of(label_type));
    else
      store(label.data() + i * size_of(label_type), label_type, i % 7 ? 0 : 1);
  }
  for (size_t i = 0; i < results; ++i) store(grad_loss.data() + i * size_of(computed), computed, 1 + (i % 3 == 0));

  Problem problem;
  problem.rows = c.rows;
  problem.classes = c.classes;
  problem.pred = {pred.data(), c.pred};
  problem.target = {target.data(), c.target};
  problem.label = {label.data(), label_type};
  problem.kind = c.kind;
  // the options of the other losses of the family with one of the gammas
  Guarded weight(static_cast<size_t>(c.classes) * size_of(computed), at_end);
  for (size_t i = 0; i < static_cast<size_t>(c.classes); ++i)
    store(weight.data() + i * size_of(computed), computed, 0.5 + (i % 3));
  if (c.gamma != 2) {
    problem.class_weight = {weight.data(), computed};
    problem.target_power = c.gamma;
    problem.positive_weight = PositiveWeight::kModulated;
  }
  problem.gamma = c.gamma;
  problem.use_sigmoid = c.use_sigmoid;
  problem.reduce_rows = c.reduce_rows;
  forward_cpu(problem, loss.data());
  backward_cpu(problem, {grad_loss.data(), computed}, grad.data());
  if (loss.has_poison(computed)) fail("not all of the loss was written: " + name_of(c));
  if (grad.has_poison(c.pred)) fail("not all of the gradient was written: " + name_of(c));
  if (!c.reduce_rows) return;
  Guarded one_pass_loss(results * size_of(computed), at_end), one_pass_grad(elements * size_of(computed), at_end),
      scaled(elements * size_of(c.pred), at_end);
  one_pass_cpu(problem, one_pass_loss.data(), one_pass_grad.data());
  if (std::memcmp(one_pass_loss.data(), loss.data(), results * size_of(computed)) != 0)
    fail("one pass gives another loss: " + name_of(c));
  if (one_pass_grad.has_poison(computed)) fail("not all of the gradient was written in one pass: " + name_of(c));
  scale_cpu(problem, {grad_loss.data(), computed}, one_pass_grad.data(), scaled.data());
  if (scaled.has_poison(c.pred)) fail("not all of the gradient was scaled: " + name_of(c));
}

void bounds() {
  std::minstd_rand random(1);
  const DType types[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16};
  const std::pair<int64_t, int64_t> shapes[] = {{1, 1}, {3, 7}, {5, 16}, {1, 513}, {2, 1203}, {13, 80}, {700, 1}};
  for (const Kernels& kernels : all_kernels()) {
    if (!kernels.supported()) continue;
    set_isa(kernels.name);
    for (const auto kind : {TargetKind::kDense, TargetKind::kMasked, TargetKind::kPair})
      for (const DType pred : types)
        for (const DType target : types)
          for (const auto& shape : shapes)
            for (const double gamma : {2.0, 1.7})
              for (const bool use_sigmoid : {true, false})
                for (const bool reduce_rows : {true, false})
                  for (const bool at_end : {true, false})
                    check_bounds({kind, pred, target, shape.first, shape.second, gamma, use_sigmoid, reduce_rows},
                                 at_end, random);
  }
}

void threads() {
  const int64_t rows = 2000, classes = 80;
  std::vector<float> pred(rows * classes), target(rows * classes, 0.0f), upstream(rows, 1.0f);
  std::minstd_rand random(1);
  for (float& x : pred) x = float(random()) / float(random.max()) * 8 - 5;
  Problem problem;
  problem.rows = rows;
  problem.classes = classes;
  problem.pred = {pred.data(), DType::kFloat32};
  problem.target = {target.data(), DType::kFloat32};
  problem.reduce_rows = true;
  const auto run = [&](std::vector<float>& loss, std::vector<float>& grad) {
    one_pass_cpu(problem, loss.data(), grad.data());
    scale_cpu(problem, {upstream.data(), DType::kFloat32}, grad.data(), grad.data());
    forward_cpu(problem, loss.data());
    backward_cpu(problem, {upstream.data(), DType::kFloat32}, grad.data());
  };
  std::vector<float> loss(rows), grad(rows * classes);
  set_num_threads(1);
  run(loss, grad);
  set_num_threads(4);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      std::vector<float> own_loss(rows), own_grad(rows * classes);
      for (int k = 0; k < 20; ++k) {
        run(own_loss, own_grad);
        if (own_loss != loss || own_grad != grad) ++wrong;
        if (i == 0) set_num_threads(2 + k % 3);
      }
    });
  for (auto& caller : callers) caller.join();
  if (wrong > 0) fail("results of " + std::to_string(wrong) + " calls differ");
}

void buffers() {
  constexpr size_t kMegabyte = size_t(1) << 20, kKept = 4 * kMegabyte;
  setenv("PADDLE_VFL_CACHE_MB", "4", 1);  // so little that buffers are also given back to the system
  std::atomic<int> shared{0};
  std::vector<std::thread> callers;
  for (char own = 1; own <= 4; ++own)
    callers.emplace_back([&shared, own] {
      for (size_t k = 0; k < 500; ++k) {
        const size_t bytes = (1 + (k + static_cast<size_t>(own)) % 3) * kMegabyte;
        volatile char* const buffer = static_cast<char*>(acquire_buffer(bytes));
        if (buffer == nullptr) std::abort();
        buffer[0] = buffer[bytes - 1] = own;
        std::this_thread::yield();
        if (buffer[0] != own || buffer[bytes - 1] != own) ++shared;
        release_buffer(const_cast<char*>(buffer));
      }
    });
  for (auto& caller : callers) caller.join();
  if (shared > 0) fail(std::to_string(shared) + " buffers were handed out twice");
  if (cached_bytes() > kKept) fail(std::to_string(cached_bytes()) + " bytes are kept");
  void* const last = acquire_buffer(kMegabyte);
  release_buffer(last);
  if (acquire_buffer(kMegabyte) != last) fail("the buffer that was freed last is not handed out again");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "bounds")
    bounds();
  else if (what == "threads")
    threads();
  else if (what == "buffers")
    buffers();
  else if (what == "overrun")
    *static_cast<volatile char*>(Guarded(12, true).data() + 12) = 0;
  else
    return std::fprintf(stderr, "usage: kernel_checks bounds | threads | buffers | overrun\n"), 2;
  return failures > 0;
}
