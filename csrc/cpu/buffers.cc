#include "buffers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace paddle_vfl {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;
// The size of a buffer is kept in front of it, so that the buffer itself begins on a huge page. These are whole pages,
// be they of 4, 16 or 64 KiB.
constexpr size_t kHeader = size_t(64) << 10;

size_t machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(size) : 0;
}

struct Cache {
  std::mutex mutex;
  std::vector<void*> free;  // least recently freed first
  size_t bytes = 0;
  size_t limit = [] {
    if (const char* value = std::getenv("PADDLE_VFL_CACHE_MB"))
      return static_cast<size_t>(std::strtoull(value, nullptr, 10)) << 20;
    return std::max(size_t(256) << 20, machine_memory() / 16);
  }();
};

Cache& cache() {
  static Cache* const instance = new Cache;  // tensors may be freed after static objects are
  return *instance;
}

size_t& size_of(void* buffer) { return *reinterpret_cast<size_t*>(static_cast<char*>(buffer) - kHeader); }

void* map(size_t size) {
  // room to move the buffer to the next huge page, given back at both ends
  const size_t whole = size + kHugePage + kHeader;
  void* const base = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(base);
  const uintptr_t buffer = (begin + kHeader + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t first = buffer - kHeader, last = buffer + size, end = begin + whole;
  if (first > begin) munmap(base, first - begin);
  if (end > last) munmap(reinterpret_cast<void*>(last), end - last);
#ifdef MADV_HUGEPAGE
  madvise(reinterpret_cast<void*>(buffer), size, MADV_HUGEPAGE);
#endif
  void* const result = reinterpret_cast<void*>(buffer);
  size_of(result) = size;
  return result;
}

void unmap(void* buffer) { munmap(static_cast<char*>(buffer) - kHeader, kHeader + size_of(buffer)); }

// The buffer that was freed last of those that fit without wasting more than an eighth, or nullptr. Needs the lock.
void* take(Cache& cache, size_t size) {
  for (size_t i = cache.free.size(); i-- > 0;) {
    void* const buffer = cache.free[i];
    const size_t have = size_of(buffer);
    if (have < size || have - size > size / 8) continue;
    cache.free.erase(cache.free.begin() + static_cast<ptrdiff_t>(i));
    cache.bytes -= have;
    return buffer;
  }
  return nullptr;
}

}  // namespace

// Where another thread has the lock, the caller goes to the system instead of waiting: a child forked while another
// thread held it would wait for ever.
void* acquire_buffer(size_t bytes) {
  const size_t size = (bytes + kHeader - 1) / kHeader * kHeader;
  if (const std::unique_lock<std::mutex> lock(cache().mutex, std::try_to_lock); lock)
    if (void* const buffer = take(cache(), size)) return buffer;
  return map(size);
}

void release_buffer(void* buffer) {
  const size_t size = size_of(buffer);
  std::unique_lock<std::mutex> lock(cache().mutex, std::try_to_lock);
  if (!lock || size > cache().limit) return unmap(buffer);
  auto& free = cache().free;
  while (cache().bytes + size > cache().limit) {
    cache().bytes -= size_of(free.front());
    unmap(free.front());
    free.erase(free.begin());
  }
#ifdef MADV_FREE
  madvise(buffer, size, MADV_FREE);  // the system may take the pages back if it runs short of memory
#endif
  free.push_back(buffer);
  cache().bytes += size;
}

size_t cached_bytes() {
  std::lock_guard<std::mutex> lock(cache().mutex);
  return cache().bytes;
}

}  // namespace paddle_vfl
