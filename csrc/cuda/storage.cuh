// The storage types of the CUDA kernels, read and written 16 bytes at a time where the addresses allow it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "../varifocal.h"

namespace paddle_vfl {
namespace cuda {

// What a storage type is computed in.
template <class S>
using Computed = std::conditional_t<std::is_same<S, double>::value, double, float>;

template <class T>
VFL_INLINE T to_number(float v) {
  return static_cast<T>(v);
}
template <class T>
VFL_INLINE T to_number(double v) {
  return static_cast<T>(v);
}
template <class T>
VFL_INLINE T to_number(__half v) {
  return static_cast<T>(__half2float(v));
}
template <class T>
VFL_INLINE T to_number(__nv_bfloat16 v) {
  return static_cast<T>(__bfloat162float(v));
}

VFL_INLINE void set_number(float& to, float v) { to = v; }
VFL_INLINE void set_number(double& to, double v) { to = v; }
VFL_INLINE void set_number(__half& to, float v) { to = __float2half_rn(v); }
VFL_INLINE void set_number(__nv_bfloat16& to, float v) { to = __float2bfloat16_rn(v); }

// W consecutive elements, moved in one access, or in a few of 16 bytes.
template <class S, int W>
struct alignas(sizeof(S) * W < 16 ? sizeof(S) * W : 16) Pack {
  S items[W];
};

// The elements [first, first + count) of p; those beyond count are 0. aligned: p lies on a multiple of 16 bytes.
template <int W, class S>
VFL_INLINE Pack<S, W> load(const S* p, uint32_t first, int count, bool aligned) {
  if (aligned && count == W) return *reinterpret_cast<const Pack<S, W>*>(p + first);
  Pack<S, W> pack;
#pragma unroll
  for (int j = 0; j < W; ++j) pack.items[j] = j < count ? p[first + j] : S(0.0f);
  return pack;
}

template <int W, class S>
VFL_INLINE void store(S* p, uint32_t first, int count, bool aligned, const Pack<S, W>& pack) {
  if (aligned && count == W) {
    *reinterpret_cast<Pack<S, W>*>(p + first) = pack;
    return;
  }
#pragma unroll
  for (int j = 0; j < W; ++j)
    if (j < count) p[first + j] = pack.items[j];
}

// The same for a type that is known only at run time.
template <int W, class T, class S>
VFL_INLINE Pack<T, W> load_as(const void* p, uint32_t first, int count, bool aligned) {
  const Pack<S, W> pack = load<W>(static_cast<const S*>(p), first, count, aligned);
  Pack<T, W> numbers;
#pragma unroll
  for (int j = 0; j < W; ++j) numbers.items[j] = to_number<T>(pack.items[j]);
  return numbers;
}

template <int W, class T>
VFL_INLINE Pack<T, W> load_any(Array array, uint32_t first, int count, bool aligned) {
  switch (array.type) {
    case DType::kFloat64: return load_as<W, T, double>(array.data, first, count, aligned);
    case DType::kFloat16: return load_as<W, T, __half>(array.data, first, count, aligned);
    case DType::kBFloat16: return load_as<W, T, __nv_bfloat16>(array.data, first, count, aligned);
    default: return load_as<W, T, float>(array.data, first, count, aligned);
  }
}

}  // namespace cuda
}  // namespace paddle_vfl
