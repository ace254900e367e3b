// The CPU kernels. A file that sets VFL_ISA, VFL_VECTOR_BYTES and the target includes this and gets forward() and backward()
// in namespace VFL_ISA.
//
// The rows are cut into tiles of at most kTile elements: whole rows, or parts of one row where a row is longer. A tile's operands
// are used where they lie if they have the type that is computed in, and are converted into the first-level cache otherwise.
#include <algorithm>

#include "../varifocal_math.h"
#include "convert.h"
#include "simd.h"

namespace paddle_vfl {
namespace VFL_ISA {

constexpr int kTile = 512;

template <class T>
using TileFunction = void (*)(int n, const T* x, const T* q, const T* y, const T* upstream, const Coefficients<Simd<T>>& c, T* out);

// out = loss, or gradient if kGrad, of n elements; the operands that kElements or kGrad leave out may be null
template <class T, bool kLogits, bool kSquare, Elements kElements, bool kGrad>
void compute_tile(int n, const T* x, const T* q, const T* y, const T* upstream, const Coefficients<Simd<T>>& c, T* out) {
  using B = Simd<T>;
  using V = typename B::V;
  constexpr bool kReadsQ = kElements != Elements::kBackground, kReadsY = kElements == Elements::kMasked;
  int i = 0;
  for (; i + B::kLanes <= n; i += B::kLanes) {
    const V vq = kReadsQ ? B::load(q + i) : V{};
    const V vy = kReadsY ? B::load(y + i) : V{};
    const V vu = kGrad ? B::load(upstream + i) : V{};
    B::store(out + i, varifocal<B, kLogits, kSquare, kElements, kGrad>(B::load(x + i), vq, vy, vu, c));
  }
  if (i < n) {
    const size_t bytes = (n - i) * sizeof(T);
    V vx{}, vq{}, vy{}, vu{};
    std::memcpy(&vx, x + i, bytes);
    if (kReadsQ) std::memcpy(&vq, q + i, bytes);
    if (kReadsY) std::memcpy(&vy, y + i, bytes);
    if (kGrad) std::memcpy(&vu, upstream + i, bytes);
    const V v = varifocal<B, kLogits, kSquare, kElements, kGrad>(vx, vq, vy, vu, c);
    std::memcpy(out + i, &v, bytes);
  }
}

template <class T, bool kGrad, Elements kElements>
TileFunction<T> select_tile_function(const Problem& problem) {
  const bool square = problem.gamma == 2;
  if (problem.use_sigmoid)
    return square ? compute_tile<T, true, true, kElements, kGrad> : compute_tile<T, true, false, kElements, kGrad>;
  return square ? compute_tile<T, false, true, kElements, kGrad> : compute_tile<T, false, false, kElements, kGrad>;
}

template <class T, bool kGrad>
TileFunction<T> select_tile_function(const Problem& problem, TargetKind kind) {
  switch (kind) {
    case TargetKind::kDense: return select_tile_function<T, kGrad, Elements::kDense>(problem);
    case TargetKind::kMasked: return select_tile_function<T, kGrad, Elements::kMasked>(problem);
    default: return select_tile_function<T, kGrad, Elements::kBackground>(problem);
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
  return label.type == DType::kInt32 ? static_cast<const int32_t*>(label.data)[row] : static_cast<const int64_t*>(label.data)[row];
}

// Whole rows [row, row + rows), or the columns [column, column + columns) of one row.
struct Tile {
  int64_t row, column;
  int rows, columns;
};

template <class T, bool kGrad>
class Pass {
 public:
  Pass(const Problem& problem, Array grad_loss, void* out)
      : problem_(problem),
        grad_loss_(grad_loss),
        out_(out),
        out_type_(kGrad ? problem.pred.type : (sizeof(T) == 8 ? DType::kFloat64 : DType::kFloat32)),
        coefficients_(problem),
        compute_(select_tile_function<T, kGrad>(problem, problem.kind)),
        compute_positives_(select_tile_function<T, kGrad>(problem, TargetKind::kDense)) {}

  void run(int64_t begin, int64_t end) {
    const int64_t classes = problem_.classes;
    if (classes <= kTile) {
      const int64_t step = kTile / std::max<int64_t>(classes, 1);
      for (int64_t row = begin; row < end; row += step) {
        const Tile tile{row, 0, static_cast<int>(std::min(step, end - row)), static_cast<int>(classes)};
        const T* loss = compute(tile);
        if (!kGrad && problem_.reduce_rows)
          for (int r = 0; r < tile.rows; ++r) static_cast<T*>(out_)[row + r] = sum(loss + r * classes, tile.columns);
      }
    } else {
      for (int64_t row = begin; row < end; ++row) {
        T total = 0;
        for (int64_t column = 0; column < classes; column += kTile) {
          const Tile tile{row, column, 1, static_cast<int>(std::min<int64_t>(kTile, classes - column))};
          const T* loss = compute(tile);
          if (!kGrad && problem_.reduce_rows) total += sum(loss, tile.columns);
        }
        if (!kGrad && problem_.reduce_rows) static_cast<T*>(out_)[row] = total;
      }
    }
  }

 private:
  // The tile's results, which are also in out_ unless they are a loss that is going to be summed.
  const T* compute(const Tile& tile) {
    const int n = tile.rows * tile.columns;
    const int64_t offset = tile.row * problem_.classes + tile.column;
    const T* x = operand(problem_.pred, offset, n, x_);
    const T* q = problem_.kind == TargetKind::kPair ? nullptr : operand(problem_.target, offset, n, q_);
    const T* y = problem_.kind == TargetKind::kMasked ? operand(problem_.label, offset, n, y_) : nullptr;
    const T* upstream = kGrad ? upstream_of(tile, offset, n) : nullptr;
    const bool keep = !kGrad && problem_.reduce_rows;
    const bool direct = !keep && out_type_ == own_type();
    T* out = direct ? static_cast<T*>(out_) + offset : result_;
    compute_(n, x, q, y, upstream, coefficients_, out);
    if (problem_.kind == TargetKind::kPair) compute_positives(tile, x, upstream, out);
    if (!keep && !direct) narrow(out, n, out_type_, out_, offset);
    return out;
  }

  // Where the tile's elements lie as T: in place, or converted into the buffer.
  const T* operand(Array array, int64_t offset, int n, T* buffer) {
    if (array.type == own_type()) return static_cast<const T*>(array.data) + offset;
    widen(array, offset, n, buffer);
    return buffer;
  }

  // The gradient of the loss for each element of the tile.
  const T* upstream_of(const Tile& tile, int64_t offset, int n) {
    if (!problem_.reduce_rows) return operand(grad_loss_, offset, n, upstream_);
    const T* row_grad = operand(grad_loss_, tile.row, tile.rows, row_grad_);
    for (int r = 0; r < tile.rows; ++r) std::fill_n(upstream_ + r * tile.columns, tile.columns, row_grad[r]);
    return upstream_;
  }

  // Pair targets: the tile was computed as background; compute the few elements that have a score once more, together.
  void compute_positives(const Tile& tile, const T* x, const T* upstream, T* out) {
    int count = 0;
    for (int r = 0; r < tile.rows; ++r) {
      const int64_t label = class_of(problem_.label, tile.row + r);
      if (label < 0 || label >= problem_.classes || label < tile.column || label >= tile.column + tile.columns) continue;
      const int at = r * tile.columns + static_cast<int>(label - tile.column);
      place_[count] = at;
      gathered_x_[count] = x[at];
      widen(problem_.target, tile.row + r, 1, q_ + count);
      if (kGrad) gathered_upstream_[count] = upstream[at];
      ++count;
    }
    if (count == 0) return;
    compute_positives_(count, gathered_x_, q_, nullptr, gathered_upstream_, coefficients_, gathered_out_);
    for (int i = 0; i < count; ++i) out[place_[i]] = gathered_out_[i];
  }

  static constexpr DType own_type() { return sizeof(T) == 8 ? DType::kFloat64 : DType::kFloat32; }

  const Problem& problem_;
  const Array grad_loss_;
  void* const out_;
  const DType out_type_;
  const Coefficients<Simd<T>> coefficients_;
  const TileFunction<T> compute_, compute_positives_;
  alignas(64) T x_[kTile], q_[kTile], y_[kTile], upstream_[kTile], row_grad_[kTile], result_[kTile];
  T gathered_x_[kTile], gathered_upstream_[kTile], gathered_out_[kTile];
  int place_[kTile];
};

void forward(const Problem& problem, void* loss, int64_t begin, int64_t end) {
  if (problem.pred.type == DType::kFloat64)
    Pass<double, false>(problem, {}, loss).run(begin, end);
  else
    Pass<float, false>(problem, {}, loss).run(begin, end);
}

void backward(const Problem& problem, Array grad_loss, void* grad_pred, int64_t begin, int64_t end) {
  if (problem.pred.type == DType::kFloat64)
    Pass<double, true>(problem, grad_loss, grad_pred).run(begin, end);
  else
    Pass<float, true>(problem, grad_loss, grad_pred).run(begin, end);
}

}  // namespace VFL_ISA
}  // namespace paddle_vfl
