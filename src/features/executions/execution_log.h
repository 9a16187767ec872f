// ExecutionLog: every call has one row that correlates with it (contracts/extensions.md §4), at the price of two memory
// copies on the request path.
//
// `begin` and `finish` append to the core's journal; a flusher on each core writes finished executions to SQL in
// batches and then lets the journal forget them. While SQL is away, the journal keeps them; when it is full, `begin`
// refuses. `open` first replays what a crash left: finished executions as they were, unfinished ones as upstream_error
// with code outcome_unknown. CoreLog belongs to its core's thread; ExecutionLog to the composition root.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "features/executions/execution_record.h"
#include "features/executions/execution_store.h"
#include "features/executions/journal.h"
#include "platform/async/cores.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::executions {

struct ExecutionLogOptions {
  std::string directory;  // for the journals; exists
  Millis flush_interval{100};
  std::size_t batch = 400;  // executions per transaction; fewer wait for the next interval
  Bytes segment_size = 8_MiB;
  std::size_t max_segments = 64;  // per core: 512 MiB
  Micros keep = std::chrono::hours(24 * 30);
};

struct ExecutionLogMetrics {
  explicit ExecutionLogMetrics(metrics::Registry& registry);
  metrics::Counter& recorded;
  metrics::Counter& replayed;
  metrics::Counter& flush_failures;
  metrics::Counter& refused;
};

class CoreLog {
 public:
  CoreLog(sql::Database& database, const Clock& clock, ExecutionLogOptions options, ExecutionLogMetrics& metrics,
          std::unique_ptr<Journal> journal);

  // Before dispatch. An error (kStorageFull, kStoreUnavailable, kOverloaded): refuse the call.
  Status begin(const ExecutionStart& start);
  // Before the answer. Never fails for want of space: begin kept it back.
  void finish(Execution execution);
  std::size_t waiting() const { return finished_.size(); }
  // Any thread: how many executions have finished since the start, and how many of them SQL has.
  std::uint64_t finished_count() const { return finished_count_.load(std::memory_order_acquire); }
  std::uint64_t recorded_count() const { return recorded_count_.load(std::memory_order_acquire); }

  // The flusher; runs until `stop`, then writes what is left once more and returns.
  Task<> run();
  void stop() { stopping_ = true; }

 private:
  Task<bool> flush_once();
  Task<> forget_old();

  sql::Database& database_;
  const Clock& clock_;
  ExecutionLogOptions options_;
  ExecutionLogMetrics& metrics_;
  std::unique_ptr<Journal> journal_;
  std::deque<Execution> finished_;
  std::atomic<std::uint64_t> finished_count_ = 0;  // written on this core only
  std::atomic<std::uint64_t> recorded_count_ = 0;
  // The last write failed, perhaps after it had been committed.
  Offered offered_ = Offered::kOnce;
  std::atomic<bool> stopping_ = false;  // set by the composition root from another thread
};

class ExecutionLog {
 public:
  // Blocking: replays what a crash left, then opens one journal per core.
  static Result<std::unique_ptr<ExecutionLog>> open(Cores& cores, sql::Database& database, const Clock& clock,
                                                    ExecutionLogOptions options, metrics::Registry& registry);
  CoreLog& at(std::size_t core) { return *cores_.at(core); }
  // Starts the flushers; call after Cores::start.
  void start(Cores& cores);
  // Returns once SQL has all that this node has finished so far, or after `patience`: whoever reads the log then sees
  // the calls that were answered before. On any core.
  Task<> catch_up(Millis patience) const;
  // Awaits the last flush of every core, at most `grace`. What is left is replayed at the next start.
  Task<> stop(Millis grace);

 private:
  ExecutionLog(metrics::Registry& registry) : metrics_(registry) {}
  static Status replay(sql::Database& database, const Clock& clock, const std::string& directory,
                       ExecutionLogMetrics& metrics);
  ExecutionLogMetrics metrics_;
  std::vector<std::unique_ptr<CoreLog>> cores_;
  std::atomic<std::size_t> running_ = 0;
};

}  // namespace bulkhead::executions
