// What the CUDA kernels are compiled for, and what all of them have in common.
//
//   elementwise.cuh  one result for each element: the loss without sums, the gradient
//   row_sums.cuh     the sums of rows: sum_tiles for short ones, sum_rows for long ones
//
// All of them read the predictions and what belongs to them as one flat array in accesses of 16 bytes, whatever the
// number of classes is; a vector may lie across rows. The order of additions depends on the shape alone, so the same
// input gives the same bits.
#pragma once

#include <type_traits>

#include "storage.cuh"

namespace paddle_vfl {
namespace cuda {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
// Blocks that a multiprocessor holds at least: lets float64, which is not bound by memory, have the registers it wants.
template <class T>
constexpr int kBlocksAtLeast = std::is_same<T, double>::value ? 2 : 4;

// Instead of a storage type: known at run time only.
struct Any {};

// kOneDType: targets and masks have the type of the predictions.
template <DType kPred, bool kOneDType, TargetKind kKind, class Formula_>
struct KernelTraits {
  using P = Stored<kPred>;                          // predictions
  using T = Stored<computed_in(kPred)>;             // computed in
  using Q = std::conditional_t<kOneDType, P, Any>;  // targets and masks
  using B = Scalar<T>;
  using Formula = Formula_;
  static constexpr bool kPair = kKind == TargetKind::kPair, kMasked = kKind == TargetKind::kMasked;
  static constexpr Elements kElements = elements_of(kKind);
  // Elements of a vector: 16 bytes of predictions, twice that of float32 where a label has to be searched for. Vectors
  // that a thread of `elementwise` has in flight.
  static constexpr int W = std::is_same<P, float>::value && kPair ? 8 : 16 / sizeof(P);
  static constexpr int kInFlight = W < 8 ? 2 : 1;
};

}  // namespace cuda
}  // namespace paddle_vfl
