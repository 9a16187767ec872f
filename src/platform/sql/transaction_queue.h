// TransactionQueue: the bounded queue of transactions before an engine's database threads, and the numbers about them.
//
// A full queue answers kOverloaded at once; what waits longer than `patience` answers kStoreUnavailable, also while
// every database thread is stuck (a sweeper thread of the queue looks after that). Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::sql {

// Made once per database; outlived by the registry.
class TransactionMetrics {
 public:
  TransactionMetrics(metrics::Registry& registry, Engine engine);
  void finished(Database::Mode mode, const Status& outcome, std::chrono::steady_clock::duration took);

  metrics::Counter& commits;       // of the engine; a group of writes is one
  metrics::Counter& retries;       // transactions run again
  metrics::Histogram& group_size;  // writes per commit
  // Read by the registry, perhaps after the database is gone.
  std::shared_ptr<std::atomic<std::int64_t>> waiting;

 private:
  struct ByMode {
    metrics::Counter& committed;
    metrics::Counter& failed;
    metrics::Histogram& seconds;
  };
  static ByMode by_mode(metrics::Registry& registry, const std::string& engine, const std::string& mode);
  ByMode read_;
  ByMode write_;
  metrics::Counter& unavailable_;
};

// A transaction that waits or runs. `finish` must be called exactly once.
struct Job {
  Database::Mode mode = Database::Mode::kRead;
  std::optional<TenantScope> scope;
  Database::Work work;
  Database::Done done;
  SteadyTime submitted{};

  void finish(TransactionMetrics& metrics, Status outcome);
};

class TransactionQueue {
 public:
  TransactionQueue(std::size_t limit, Millis patience, TransactionMetrics& metrics);
  ~TransactionQueue();  // after close() and after the database threads ended
  TransactionQueue(const TransactionQueue&) = delete;
  TransactionQueue& operator=(const TransactionQueue&) = delete;

  // Finishes the job itself when it can't be queued.
  void push(Job job);
  // Waits for a job; nothing once the queue is closed and empty.
  std::optional<Job> take();
  // The next job if one waits already.
  std::optional<Job> try_take();
  // push refuses from now on (kShuttingDown); what is queued is still handed out.
  void close();

 private:
  Status push_or_refuse(Job& job);
  std::optional<Job> pop_front_locked();
  void sweep_loop();

  const std::size_t limit_;
  const Millis patience_;
  TransactionMetrics& metrics_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable sweep_;  // closed, or closed and empty
  std::deque<Job> jobs_;
  bool closed_ = false;
  std::thread sweeper_;
};

}  // namespace bulkhead::sql
