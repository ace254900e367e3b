// Calls one kernel, without Paddle: to count its instructions and to time it.
//
//   kernel_driver ISA KIND PASS DTYPE LOSS ROWS CLASSES REPEATS [DENSITY]
//   kernel_driver < LINES        the same for each line of such words; callgrind's counts of each begin with the line
//
// KIND: dense, masked or pair; masked predictions are probabilities, as PP-YOLOE has them, the others logits. PASS:
// forward, backward, one-pass (both) or scale (what one-pass leaves to do). LOSS: varifocal loss with that gamma;
// quality-focal; matchability-aware; or class-weighted, varifocal loss with gamma 2. One row in 33 has a positive, or
// the share DENSITY of all elements of dense and masked targets is, at random.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#include "../../csrc/cpu/kernels.h"
#include "stored.h"

using namespace paddle_vfl;

namespace {

std::vector<char> stored(const std::vector<float>& values, DType type) {
  const size_t size = size_of(type);
  std::vector<char> bytes(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) store(&bytes[i * size], type, values[i]);
  return bytes;
}

int run(const std::vector<std::string>& words) {
  if (words.size() != 8 && words.size() != 9) return std::fprintf(stderr, "see the head of kernel_driver.cc\n"), 2;
  const std::string isa = words[0], kind = words[1], pass = words[2], dtype = words[3], loss_name = words[4];
  const int64_t rows = std::stoll(words[5]), classes = std::stoll(words[6]), repeats = std::stoll(words[7]);
  const DType type = dtype == "float64"    ? DType::kFloat64
                     : dtype == "float16"  ? DType::kFloat16
                     : dtype == "bfloat16" ? DType::kBFloat16
                                           : DType::kFloat32;

  std::minstd_rand random(1);
  const auto uniform = [&] { return static_cast<float>(random()) / static_cast<float>(random.max()); };
  std::vector<float> pred(rows * classes), target(rows * classes, 0.0f), mask(rows * classes, 0.0f), score(rows),
      upstream(rows, 0.5f);
  std::vector<int64_t> label(rows, classes);
  for (float& x : pred) x = kind == "masked" ? 0.01f + 0.98f * uniform() : 6 * uniform() - 5;
  for (int64_t row = 0; row < rows; row += 33) {  // one row in 33 is positive
    label[row] = row % classes;
    score[row] = uniform();
    target[row * classes + label[row]] = score[row];
    mask[row * classes + label[row]] = 1;
  }
  if (words.size() == 9) {
    const float density = std::stof(words[8]);
    for (size_t i = 0; i < target.size(); ++i) {
      target[i] = uniform() < density ? uniform() : 0.0f;
      mask[i] = target[i] > 0 ? 1.0f : 0.0f;
    }
  }
  const auto pred_bytes = stored(pred, type), target_bytes = stored(target, type), mask_bytes = stored(mask, type);

  Problem problem;
  problem.rows = rows;
  problem.classes = classes;
  problem.pred = {pred_bytes.data(), type};
  problem.target = {target_bytes.data(), type};
  const std::vector<float> class_weight(classes, 2.0f);
  if (loss_name == "quality-focal") {
    problem.alpha = 1;
    problem.positive_weight = PositiveWeight::kModulated;
  } else if (loss_name == "matchability-aware") {
    problem.alpha = 1;
    problem.gamma = problem.target_power = 1.5;
    problem.positive_weight = PositiveWeight::kOne;
    problem.detach_weight = true;
  } else if (loss_name == "class-weighted") {
    problem.class_weight = {class_weight.data(), DType::kFloat32};
  } else {
    problem.gamma = std::stod(loss_name);
  }
  problem.use_sigmoid = kind != "masked";
  problem.reduce_rows = true;
  if (kind == "masked") {
    problem.kind = TargetKind::kMasked;
    problem.label = {mask_bytes.data(), type};
  } else if (kind == "pair") {
    problem.kind = TargetKind::kPair;
    problem.target = {score.data(), DType::kFloat32};
    problem.label = {label.data(), DType::kInt64};
  }
  std::vector<double> loss(rows), upstream64(rows, 0.5);
  std::vector<char> grad(rows * classes * 8), scaled(grad);
  const Array grad_loss =
      type == DType::kFloat64 ? Array{upstream64.data(), type} : Array{upstream.data(), DType::kFloat32};

  set_isa(isa);
  const auto call = [&] {
    if (pass == "forward")
      forward_cpu(problem, loss.data());
    else if (pass == "backward")
      backward_cpu(problem, grad_loss, grad.data());
    else if (pass == "one-pass")
      one_pass_cpu(problem, loss.data(), grad.data());
    else
      scale_cpu(problem, grad_loss, grad.data(), computed_in(type) == type ? grad.data() : scaled.data());
  };
  call();  // the first one starts threads and touches memory
  const auto start = std::chrono::steady_clock::now();
  CALLGRIND_TOGGLE_COLLECT;
  for (int64_t i = 0; i < repeats; ++i) call();
  CALLGRIND_TOGGLE_COLLECT;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%.4f ns an element\n", repeats == 0 ? 0.0 : seconds.count() * 1e9 / (double(repeats) * rows * classes));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return run({argv + 1, argv + argc});
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    if (const int status = run({std::istream_iterator<std::string>(words), {}})) return status;
    CALLGRIND_DUMP_STATS_AT(line.c_str());
  }
}
