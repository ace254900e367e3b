#include "threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace paddle_vfl {
namespace {

int threads_from_environment() {
  for (const char* name : {"PADDLE_VFL_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const char* value = std::getenv(name);
    const int n = value == nullptr ? 0 : std::atoi(value);
    if (n >= 1) return n;
  }
  return 1;
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{threads_from_environment()};
  return count;
}

class Pool {
 public:
  // Never destroyed: its threads may outlive every static object.
  static Pool& instance() {
    static const bool registered = pthread_atfork(nullptr, nullptr, [] { pool_ = new Pool; }) == 0;
    (void)registered;
    return *pool_;
  }

  void run(int64_t count, int64_t grain, int threads, const std::function<void(int64_t, int64_t)>& body) {
    std::unique_lock<std::mutex> use(in_use_, std::try_to_lock);
    if (!use || !grow(threads - 1)) return body(0, count);
    // a few parts a thread, so that one that is late or disturbed takes fewer
    const int64_t part = std::max(grain, count / (threads * 8) + 1);
    Job job{count, part, &body, threads - 1};
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      ++generation_;
    }
    wake_.notify_all();
    job.work();
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = nullptr;  // whoever has not begun need not
    done_.wait(lock, [&] { return busy_ == 0; });
  }

 private:
  struct Job {
    int64_t count, part;
    const std::function<void(int64_t, int64_t)>* body;
    int helpers;  // places left for workers
    std::atomic<int64_t> next{0};

    void work() {
      for (int64_t begin; (begin = next.fetch_add(part)) < count;) (*body)(begin, std::min(begin + part, count));
    }
  };

  // Makes sure of that many workers; false if the system will not give one.
  bool grow(int workers) {
    try {
      for (; workers_ < workers; ++workers_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      return workers_ > 0;
    }
    return true;
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (uint64_t seen = 0;;) {
      wake_.wait(lock, [&] { return job_ != nullptr && generation_ != seen; });
      seen = generation_;
      if (job_->helpers == 0) continue;
      Job* job = job_;
      --job->helpers;
      ++busy_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  static Pool* pool_;
  std::mutex in_use_;  // held by the thread whose job runs
  int workers_ = 0;
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  uint64_t generation_ = 0;
  int busy_ = 0;
};

// a forked child has none of its parent's threads, so it gets a pool of its own
Pool* Pool::pool_ = new Pool;

}  // namespace

int get_num_threads() { return thread_count(); }
void set_num_threads(int n) { thread_count() = std::max(n, 1); }

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= 0) return;
  const int threads = static_cast<int>(std::min<int64_t>(get_num_threads(), (count + grain - 1) / grain));
  if (threads <= 1) return body(0, count);
  Pool::instance().run(count, grain, threads, body);
}

}  // namespace paddle_vfl
