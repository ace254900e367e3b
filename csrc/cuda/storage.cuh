// The storage types of the CUDA kernels, read and written 16 bytes at a time where the addresses allow it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backend.cuh"

namespace paddle_vfl {
namespace cuda {

template <>
struct Storage<DType::kFloat16> {
  using Type = __half;
};
template <>
struct Storage<DType::kBFloat16> {
  using Type = __nv_bfloat16;
};

template <class To, class From>
VFL_INLINE To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To to;
  memcpy(static_cast<void*>(&to), static_cast<const void*>(&from), sizeof(to));
  return to;
}

VFL_INLINE float to_float(__half v) { return __half2float(v); }
VFL_INLINE float to_float(__nv_bfloat16 v) { return __bfloat162float(v); }

// W consecutive elements, moved in one access, or in a few of 16 bytes.
template <class S, int W, bool kSixteenBits = sizeof(S) == 2>
struct alignas(sizeof(S) * W < 16 ? sizeof(S) * W : 16) Pack {
  S items[W];

  VFL_INLINE S item(int j) const { return items[j]; }
  VFL_INLINE S number(int j) const { return items[j]; }
  VFL_INLINE void set_item(int j, S item) { items[j] = item; }
  VFL_INLINE void set_numbers(const Pack& numbers) { *this = numbers; }
};

// Numbers of 16 bits stay in pairs until they are used: a compiler that sees single ones takes each vector apart when
// it is loaded, and waits for it before it loads the next one.
template <class S, int W>
struct alignas(sizeof(S) * W < 16 ? sizeof(S) * W : 16) Pack<S, W, true> {
  uint32_t pairs[W / 2];

  VFL_INLINE S item(int j) const { return bit_cast<S>(static_cast<uint16_t>(pairs[j / 2] >> (16 * (j % 2)))); }
  VFL_INLINE float number(int j) const {
    if constexpr (std::is_same<S, __nv_bfloat16>::value)  // the upper half of a float
      return bit_cast<float>(j % 2 ? pairs[j / 2] & 0xffff0000u : pairs[j / 2] << 16);
    else
      return to_float(item(j));
  }
  VFL_INLINE void set_item(int j, S item) {
    const uint16_t bits = bit_cast<uint16_t>(item);
    pairs[j / 2] = j % 2 ? (pairs[j / 2] & 0xffffu) | uint32_t(bits) << 16 : (pairs[j / 2] & 0xffff0000u) | bits;
  }
  VFL_INLINE void set_numbers(const Pack<float, W>& numbers) {
#pragma unroll
    for (int j = 0; j < W; j += 2) pairs[j / 2] = bit_cast<uint32_t>(rounded(numbers.items[j], numbers.items[j + 1]));
  }

 private:
  static VFL_INLINE auto rounded(float low, float high) {
    if constexpr (std::is_same<S, __nv_bfloat16>::value)
      return __floats2bfloat162_rn(low, high);
    else
      return __floats2half2_rn(low, high);
  }
};

// Whether every bit is 0.
template <class S, int W>
VFL_INLINE bool is_zero(const Pack<S, W>& pack) {
  uint32_t words[sizeof(pack) / sizeof(uint32_t)], any = 0;
  memcpy(words, &pack, sizeof(pack));
#pragma unroll
  for (uint32_t word : words) any |= word;
  return any == 0;
}

// The elements [first, first + count) of p; those beyond count are 0. aligned: p lies on a multiple of 16 bytes.
template <int W, class S>
VFL_INLINE Pack<S, W> load(const S* p, uint32_t first, int count, bool aligned) {
  if (aligned && count == W) return *reinterpret_cast<const Pack<S, W>*>(p + first);
  Pack<S, W> pack = {};
#pragma unroll
  for (int j = 0; j < W; ++j)
    if (j < count) pack.set_item(j, p[first + j]);
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
    if (j < count) p[first + j] = pack.item(j);
}

// The same for a type that is known only at run time.
template <int W, class T>
VFL_INLINE Pack<T, W> load_any(Array array, uint32_t first, int count, bool aligned) {
  return dispatch(FloatingTypes(), array.type, [&](auto type) {
    using S = Stored<decltype(type)::value>;
    const Pack<S, W> pack = load<W>(static_cast<const S*>(array.data), first, count, aligned);
    Pack<T, W> numbers;
#pragma unroll
    for (int j = 0; j < W; ++j) numbers.items[j] = static_cast<T>(pack.number(j));
    return numbers;
  });
}

template <class T>
VFL_INLINE T number_at(Array array, uint32_t index) {
  return dispatch(FloatingTypes(), array.type, [&](auto type) {
    using S = Stored<decltype(type)::value>;
    const S item = static_cast<const S*>(array.data)[index];
    if constexpr (sizeof(S) == 2)
      return static_cast<T>(to_float(item));
    else
      return static_cast<T>(item);
  });
}

}  // namespace cuda
}  // namespace paddle_vfl
