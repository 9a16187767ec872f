// Cores: one io_context(1) and one thread per core. Connections stay on the core that accepted them.
//
// Owned by the composition root. `start` runs the threads, `stop` ends them; posting to a core is allowed from any
// thread, everything else about a core belongs to its own thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "platform/async/task.h"

namespace bulkhead {

class Core {
 public:
  explicit Core(std::size_t index) : index_(index), context_(1) {}
  std::size_t index() const { return index_; }
  asio::io_context& context() { return context_; }
  Executor executor() { return context_.get_executor(); }
  // True on this core's own thread.
  bool is_current() const { return context_.get_executor().running_in_this_thread(); }

 private:
  std::size_t index_;
  mutable asio::io_context context_;
};

class Cores {
 public:
  // `count` 0 = one per hardware thread.
  explicit Cores(std::size_t count);
  ~Cores();
  Cores(const Cores&) = delete;
  Cores& operator=(const Cores&) = delete;

  void start();
  // Stops every context and joins the threads. Work that is still queued is dropped.
  void stop();
  // Between `start` and `stop`; for the thread that calls those.
  bool running() const { return !threads_.empty(); }
  std::size_t size() const { return cores_.size(); }
  Core& at(std::size_t index) { return *cores_.at(index); }
  // Runs `work` as a detached coroutine on a core. An exception that escapes it ends the process: it is a bug.
  void spawn(std::size_t core, std::move_only_function<Task<>()> work);

 private:
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::thread> threads_;
};

// Waits without blocking the thread.
Task<> sleep_for(std::chrono::milliseconds time);

}  // namespace bulkhead
