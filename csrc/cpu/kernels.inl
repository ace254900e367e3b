// The CPU kernels. A file that sets the target, VFL_ISA and VFL_VECTOR_BYTES includes this after before_target.h and
// gets forward(), backward(), one_pass() and scale() in namespace VFL_ISA.
//
// The rows are cut into tiles of at most kTile elements: whole rows, or parts of one row where a row is longer. A
// tile's operands are used where they lie; those that have neither the type of the predictions nor that which is
// computed in are converted into the first-level cache before.
#include "../dispatch.h"
#include "../varifocal_math.h"
#include "before_target.h"
#include "simd.h"
#include "storage.h"

namespace paddle_vfl {
namespace VFL_ISA {

constexpr int kTile = 512;

// What is computed of the elements.
enum class Want {
  kLoss,
  kGrad,  // times the upstream gradient
  kBoth,  // the gradient of the sum: without the upstream gradient, which is not known yet
};

// Gradients are of the type of the predictions, P. In one pass they are as computed, in T: rounded before they are
// scaled, those of half precision would lose the small ones.
template <class T, class P, Want kWant>
using Gradient = std::conditional_t<kWant == Want::kBoth, T, P>;

// T is computed in, P holds the predictions, Q the targets and masks, G the gradients, of n elements. What kElements or
// kWant leave out may be null. Memory is asked for `ahead` bytes beyond what is computed.
template <class T, class P, class Q, class G>
using TileFunction = void (*)(int n, const P* x, const Q* q, const Q* y, const T* upstream,
                              const Coefficients<Simd<T>>& c, T* loss, G* grad, ptrdiff_t ahead);

// A prefetch does not fault: it may reach beyond the arrays.
template <bool kWrites>
VFL_INLINE void prefetch(const void* p, ptrdiff_t ahead) {
  __builtin_prefetch(static_cast<const char*>(p) + ahead, kWrites);
}

template <class T, class P, class Q, class G, class F, Elements kElements, Want kWant>
void compute_tile(int n, const P* x, const Q* q, const Q* y, const T* upstream, const Coefficients<Simd<T>>& c, T* loss,
                  G* grad, ptrdiff_t ahead) {
  using B = Simd<T>;
  using V = typename B::V;
  constexpr bool kReadsQ = kElements != Elements::kBackground, kReadsY = kElements == Elements::kMasked;
  constexpr bool kReadsUpstream = kWant == Want::kGrad;
  constexpr bool kLoss = kWant != Want::kGrad, kGrad = kWant != Want::kLoss;
  const auto vector_at = [&c](const P* x, const Q* q, const Q* y, const T* upstream, T* loss, G* grad)
                             __attribute__((always_inline)) {
                               const V vq = kReadsQ ? load<T>(q) : V{};
                               const V vy = kReadsY ? load<T>(y) : V{};
                               const auto result = varifocal<B, F, kElements>(load<T>(x), vq, vy, c);
                               if (kLoss) store<T>(loss, result.loss);
                               if (kGrad)
                                 store<T>(grad, kReadsUpstream ? result.grad * load<T>(upstream) : result.grad);
                             };
  int i = 0;
  for (; i + B::kLanes <= n; i += B::kLanes) {
    prefetch<false>(x + i, ahead);
    if (kReadsQ) prefetch<false>(q + i, ahead);
    if (kReadsY) prefetch<false>(y + i, ahead);
    if (kGrad) prefetch<true>(grad + i, ahead);
    vector_at(x + i, kReadsQ ? q + i : q, kReadsY ? y + i : y, kReadsUpstream ? upstream + i : upstream,
              kLoss ? loss + i : loss, kGrad ? grad + i : grad);
  }
  if (const int rest = n - i) {
    P last_x[B::kLanes] = {};
    G last_grad[B::kLanes];
    Q last_q[B::kLanes] = {}, last_y[B::kLanes] = {};
    T last_upstream[B::kLanes] = {}, last_loss[B::kLanes];
    std::memcpy(last_x, x + i, rest * sizeof(P));
    if (kReadsQ) std::memcpy(last_q, q + i, rest * sizeof(Q));
    if (kReadsY) std::memcpy(last_y, y + i, rest * sizeof(Q));
    if (kReadsUpstream) std::memcpy(last_upstream, upstream + i, rest * sizeof(T));
    vector_at(last_x, last_q, last_y, last_upstream, last_loss, last_grad);
    if (kLoss) std::memcpy(loss + i, last_loss, rest * sizeof(T));
    if (kGrad) std::memcpy(grad + i, last_grad, rest * sizeof(G));
  }
}

// The sum in an order that depends on n alone.
template <class T>
T sum(const T* p, int n) {
  using B = Simd<T>;
  typename B::V lanes{};
  int i = 0;
  for (; i + B::kLanes <= n; i += B::kLanes) lanes += B::load(p + i);
  T total = 0;
  if (i > 0)
    for (int k = 0; k < B::kLanes; ++k) total += lanes[k];
  for (; i < n; ++i) total += p[i];
  return total;
}

inline int64_t class_of(Array label, int64_t row) {
  return dispatch(IntegerTypes(), label.type, [=](auto type) -> int64_t {
    return static_cast<const Stored<decltype(type)::value>*>(label.data)[row];
  });
}

// Whole rows [row, row + rows), or the columns [column, column + columns) of one row.
struct Tile {
  int64_t row, column;
  int rows, columns;
};

// Q holds the targets and masks: P if they have the type of the predictions, or T, to which they are converted.
template <DType kPred, class Q, Want kWant>
class Pass {
  static constexpr DType kComputed = computed_in(kPred);
  static constexpr bool kLoss = kWant != Want::kGrad, kGrad = kWant != Want::kLoss, kUpstream = kWant == Want::kGrad;
  using P = Stored<kPred>;
  using T = Stored<kComputed>;
  using G = Gradient<T, P, kWant>;

 public:
  // what kWant leaves out is null
  Pass(const Problem& problem, Array grad_loss, void* loss, void* grad)
      : problem_(problem),
        grad_loss_(grad_loss),
        loss_(static_cast<T*>(loss)),
        grad_(static_cast<G*>(grad)),
        class_weight_(static_cast<const T*>(problem.class_weight.data)),
        coefficients_(problem),
        compute_(dispatch_kind_and_formula(
            problem,
            [](auto kind, auto formula) {
              return &compute_tile<T, P, Q, G, decltype(formula), elements_of(decltype(kind)::value), kWant>;
            })),
        compute_positives_(dispatch_formula(problem, [](auto formula) {
          return &compute_tile<T, T, T, T, decltype(formula), Elements::kDense, kWant>;
        })) {
    if (class_weight_ != nullptr && problem.classes <= kTile)  // all tiles begin with the first class
      for (int i = 0; i < kTile; ++i) weight_[i] = class_weight_[i % problem.classes];
  }

  void run(int64_t begin, int64_t end) {
    if (kUpstream) find_uniform_upstream(begin, end);
    const int64_t classes = problem_.classes;
    if (classes <= kTile) {
      const int64_t step = kTile / std::max<int64_t>(classes, 1);
      for (int64_t row = begin; row < end; row += step) {
        const Tile tile{row, 0, static_cast<int>(std::min(step, end - row)), static_cast<int>(classes)};
        compute(tile);
        if (sums())
          for (int r = 0; r < tile.rows; ++r) loss_[row + r] = sum(terms_ + r * classes, tile.columns);
      }
    } else {
      for (int64_t row = begin; row < end; ++row) {
        T total = 0;
        for (int64_t column = 0; column < classes; column += kTile) {
          const Tile tile{row, column, 1, static_cast<int>(std::min<int64_t>(kTile, classes - column))};
          compute(tile);
          if (sums()) total += sum(terms_, tile.columns);
        }
        if (sums()) loss_[row] = total;
      }
    }
  }

 private:
  bool sums() const { return kLoss && problem_.reduce_rows; }

  // The tile's losses into loss_, or into terms_ if they are going to be summed, and its gradients into grad_.
  void compute(const Tile& tile) {
    const int n = tile.rows * tile.columns;
    const int64_t offset = tile.row * problem_.classes + tile.column;
    const P* x = static_cast<const P*>(problem_.pred.data) + offset;
    const Q* q = problem_.kind == TargetKind::kPair ? nullptr : operand(problem_.target, offset, n, q_);
    const Q* y = problem_.kind == TargetKind::kMasked ? operand(problem_.label, offset, n, y_) : nullptr;
    const T* upstream = kUpstream ? upstream_of(tile, offset, n) : nullptr;
    T* loss = !kLoss ? nullptr : sums() ? terms_ : loss_ + offset;
    G* grad = kGrad ? grad_ + offset : nullptr;
    compute_(n, x, q, y, upstream, coefficients_, loss, grad, ahead_);
    if (problem_.kind == TargetKind::kPair) compute_positives(tile, x, upstream, loss, grad);
    if (class_weight_ == nullptr) return;
    if constexpr (kLoss) weigh(tile, n, loss, loss);
    if constexpr (kWant == Want::kBoth) weigh(tile, n, grad, grad);
  }

  // out[0, n) = in[0, n) times the weights of the classes.
  void weigh(const Tile& tile, int n, const T* in, T* out) const {
    const T* const weight = problem_.classes <= kTile ? weight_ : class_weight_ + tile.column;
    for (int i = 0; i < n; ++i) out[i] = in[i] * weight[i];
  }

  // Where the elements lie as Q: in place, or converted into the buffer.
  const Q* operand(const Array& array, int64_t offset, int n, T* buffer) {
    if constexpr (std::is_same_v<Q, T>) {
      return as_computed(array, offset, n, buffer);
    } else {
      return static_cast<const Q*>(array.data) + offset;
    }
  }

  const T* as_computed(const Array& array, int64_t offset, int n, T* buffer) {
    if (array.type == kComputed) return static_cast<const T*>(array.data) + offset;
    widen(array, offset, n, buffer);
    return buffer;
  }

  // After a sum or a mean all rows have the same gradient: it is spread once for all tiles.
  void find_uniform_upstream(int64_t begin, int64_t end) {
    if (!problem_.reduce_rows || grad_loss_.type != kComputed) return;
    const T* row_grad = static_cast<const T*>(grad_loss_.data);
    uniform_ = std::equal(row_grad + begin + 1, row_grad + end, row_grad + begin);
    if (uniform_) std::fill_n(upstream_, kTile, row_grad[begin]);
  }

  // The gradient of the loss for each element of the tile, with the weights of the classes.
  const T* upstream_of(const Tile& tile, int64_t offset, int n) {
    const T* const upstream = unweighted_upstream_of(tile, offset, n);
    if (class_weight_ == nullptr) return upstream;
    weigh(tile, n, upstream, weighted_);
    return weighted_;
  }

  const T* unweighted_upstream_of(const Tile& tile, int64_t offset, int n) {
    if (!problem_.reduce_rows) return as_computed(grad_loss_, offset, n, upstream_);
    if (uniform_) return upstream_;
    const T* row_grad = as_computed(grad_loss_, tile.row, tile.rows, row_grad_);
    for (int r = 0; r < tile.rows; ++r) std::fill_n(upstream_ + r * tile.columns, tile.columns, row_grad[r]);
    return upstream_;
  }

  // Pairs: the tile was computed as background; compute the few elements that have a score once more, together.
  void compute_positives(const Tile& tile, const P* x, const T* upstream, T* loss, G* grad) {
    int count = 0;
    for (int r = 0; r < tile.rows; ++r) {
      const int64_t label = class_of(problem_.label, tile.row + r);
      if (label < tile.column || label >= tile.column + tile.columns) continue;
      const int at = r * tile.columns + static_cast<int>(label - tile.column);
      place_[count] = at;
      gathered_x_[count] = to_number(x[at]);
      widen(problem_.target, tile.row + r, 1, gathered_q_ + count);
      if (kUpstream) gathered_upstream_[count] = upstream[at];
      ++count;
    }
    if (count == 0) return;
    compute_positives_(count, gathered_x_, gathered_q_, nullptr, gathered_upstream_, coefficients_, gathered_loss_,
                       gathered_grad_, 0);
    for (int i = 0; i < count; ++i) {
      if (kLoss) loss[place_[i]] = gathered_loss_[i];
      if (kGrad) set_number(grad[place_[i]], gathered_grad_[i]);
    }
  }

  const Problem& problem_;
  const Array grad_loss_;
  T* const loss_;
  G* const grad_;
  const T* const class_weight_;  // or null
  const Coefficients<Simd<T>> coefficients_;
  const TileFunction<T, P, Q, G> compute_;
  const TileFunction<T, T, T, T> compute_positives_;
  const ptrdiff_t ahead_ = prefetch_distance();
  bool uniform_ = false;  // upstream_ is that of every tile
  alignas(64) T q_[kTile], y_[kTile], upstream_[kTile], row_grad_[kTile], terms_[kTile];
  T weight_[kTile], weighted_[kTile];  // the weights of the classes of a tile, and upstream_ times them
  T gathered_x_[kTile], gathered_q_[kTile], gathered_upstream_[kTile], gathered_loss_[kTile], gathered_grad_[kTile];
  int place_[kTile];
};

template <DType kPred, Want kWant>
void run(const Problem& problem, Array grad_loss, void* loss, void* grad, int64_t begin, int64_t end) {
  using P = Stored<kPred>;
  using T = Stored<computed_in(kPred)>;
  if constexpr (!std::is_same_v<P, T>)
    if (has_one_dtype(problem)) return Pass<kPred, P, kWant>(problem, grad_loss, loss, grad).run(begin, end);
  Pass<kPred, T, kWant>(problem, grad_loss, loss, grad).run(begin, end);
}

void forward(const Problem& problem, void* loss, int64_t begin, int64_t end) {
  dispatch(FloatingTypes(), problem.pred.type,
           [&](auto type) { run<decltype(type)::value, Want::kLoss>(problem, {}, loss, nullptr, begin, end); });
}

void backward(const Problem& problem, Array grad_loss, void* grad_pred, int64_t begin, int64_t end) {
  dispatch(FloatingTypes(), problem.pred.type, [&](auto type) {
    run<decltype(type)::value, Want::kGrad>(problem, grad_loss, nullptr, grad_pred, begin, end);
  });
}

void one_pass(const Problem& problem, void* loss, void* grad, int64_t begin, int64_t end) {
  dispatch(FloatingTypes(), problem.pred.type,
           [&](auto type) { run<decltype(type)::value, Want::kBoth>(problem, {}, loss, grad, begin, end); });
}

// out[0, n) = in[0, n) times a factor
template <class T, class P>
void multiply(const T* in, int64_t n, T factor, P* out) {
  if (factor == 1 && static_cast<const void*>(in) == out) return;
  using B = Simd<T>;
  int64_t i = 0;
  for (; i + B::kLanes <= n; i += B::kLanes) store<T>(out + i, load<T>(in + i) * factor);
  for (; i < n; ++i) set_number(out[i], in[i] * factor);
}

void scale(const Problem& problem, Array factors_of_rows, const void* grad, void* scaled, int64_t begin, int64_t end) {
  dispatch(FloatingTypes(), problem.pred.type, [&](auto type) {
    using P = Stored<decltype(type)::value>;
    using T = Stored<computed_in(decltype(type)::value)>;
    const T* const factors = static_cast<const T*>(factors_of_rows.data);
    const T* const in = static_cast<const T*>(grad);
    P* const out = static_cast<P*>(scaled);
    for (int64_t row = begin, next; row < end; row = next) {
      next = row + 1;
      while (next < end && factors[next] == factors[row]) ++next;  // short rows together
      multiply(in + row * problem.classes, (next - row) * problem.classes, factors[row], out + row * problem.classes);
    }
  });
}

}  // namespace VFL_ISA
}  // namespace paddle_vfl
