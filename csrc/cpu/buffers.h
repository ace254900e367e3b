// Memory for large gradients.
//
// Paddle's CPU allocator hands out fresh pages at every step, and touching them costs more than computing what goes
// into them. These buffers lie on huge pages, and the most recently freed ones are kept for the next step.
#pragma once

#include <cstddef>

namespace paddle_vfl {

// Smaller ones are left to Paddle's allocator: keeping them gains nothing.
constexpr size_t kLeastBuffer = size_t(1) << 20;

// At least `bytes`, or nullptr if the system has no more. Any thread may call these, also in a forked child.
void* acquire_buffer(size_t bytes);
void release_buffer(void* buffer);

// Free bytes that are kept now. At most PADDLE_VFL_CACHE_MB, by default 256 or a sixteenth of the machine's memory if
// that is more; 0 keeps nothing. What is kept is marked as free to the system, which takes it back when it needs it.
size_t cached_bytes();

}  // namespace paddle_vfl
