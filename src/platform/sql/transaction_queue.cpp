#include "platform/sql/transaction_queue.h"

#include <algorithm>

#include "platform/observe/log.h"

namespace bulkhead::sql {
namespace {

std::string engine_name(Engine engine) { return engine == Engine::kSqlite ? "sqlite" : "postgres"; }

}  // namespace

TransactionMetrics::TransactionMetrics(metrics::Registry& registry, Engine engine)
    : commits(registry.counter("bulkhead_sql_commits_total", "Commits; a group of SQLite writes is one.",
                               {{"engine", engine_name(engine)}})),
      retries(registry.counter("bulkhead_sql_retries_total",
                               "Transactions run again after a conflict or a lost connection.",
                               {{"engine", engine_name(engine)}})),
      group_size(registry.histogram("bulkhead_sql_group_size", "Writes per commit.",
                                    {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}, {{"engine", engine_name(engine)}})),
      waiting(std::make_shared<std::atomic<std::int64_t>>(0)),
      read_(by_mode(registry, engine_name(engine), "read")),
      write_(by_mode(registry, engine_name(engine), "write")),
      unavailable_(registry.counter("bulkhead_sql_unavailable_total",
                                    "Transactions that failed because the store was unreachable, full or overloaded.",
                                    {{"engine", engine_name(engine)}})) {
  registry.gauge("bulkhead_sql_waiting", "Transactions that wait for a database thread.",
                 [count = waiting] { return static_cast<double>(count->load(std::memory_order_relaxed)); },
                 {{"engine", engine_name(engine)}});
}

TransactionMetrics::ByMode TransactionMetrics::by_mode(metrics::Registry& registry, const std::string& engine,
                                                       const std::string& mode) {
  const auto counter = [&](const char* outcome) -> metrics::Counter& {
    return registry.counter("bulkhead_sql_transactions_total", "Transactions by outcome.",
                            {{"engine", engine}, {"mode", mode}, {"outcome", outcome}});
  };
  return {.committed = counter("committed"),
          .failed = counter("failed"),
          .seconds = registry.histogram("bulkhead_sql_transaction_seconds", "From submission to the outcome.",
                                        metrics::latency_bounds(), {{"engine", engine}, {"mode", mode}})};
}

void TransactionMetrics::finished(Database::Mode mode, const Status& outcome,
                                  std::chrono::steady_clock::duration took) {
  ByMode& numbers = mode == Database::Mode::kRead ? read_ : write_;
  numbers.seconds.observe(std::chrono::duration<double>(took).count());
  if (outcome) {
    numbers.committed.add();
    return;
  }
  numbers.failed.add();
  const ErrorCode code = outcome.error().code;
  if (code == ErrorCode::kStoreUnavailable || code == ErrorCode::kStorageFull || code == ErrorCode::kOverloaded) {
    unavailable_.add();
  }
}

void Job::finish(TransactionMetrics& metrics, Status outcome) {
  metrics.finished(mode, outcome, std::chrono::steady_clock::now() - submitted);
  done(std::move(outcome));
}

TransactionQueue::TransactionQueue(std::size_t limit, Millis patience, TransactionMetrics& metrics)
    : limit_(limit), patience_(patience), metrics_(metrics), sweeper_([this] { sweep_loop(); }) {}

TransactionQueue::~TransactionQueue() {
  close();
  sweeper_.join();
}

void TransactionQueue::push(Job job) {
  job.submitted = std::chrono::steady_clock::now();
  if (Status queued = push_or_refuse(job); !queued) job.finish(metrics_, std::move(queued));
}

Status TransactionQueue::push_or_refuse(Job& job) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return fail(ErrorCode::kShuttingDown);
    if (jobs_.size() >= limit_) return fail(ErrorCode::kOverloaded, "Too many transactions are waiting.");
    jobs_.push_back(std::move(job));
    metrics_.waiting->fetch_add(1, std::memory_order_relaxed);
  }
  arrived_.notify_one();
  return {};
}

std::optional<Job> TransactionQueue::pop_front_locked() {
  if (jobs_.empty()) return std::nullopt;
  std::optional<Job> job(std::move(jobs_.front()));
  jobs_.pop_front();
  metrics_.waiting->fetch_sub(1, std::memory_order_relaxed);
  if (closed_ && jobs_.empty()) sweep_.notify_all();
  return job;
}

std::optional<Job> TransactionQueue::take() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
  return pop_front_locked();
}

std::optional<Job> TransactionQueue::try_take() {
  const std::scoped_lock lock(mutex_);
  return pop_front_locked();
}

void TransactionQueue::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_all();
  sweep_.notify_all();
}

// All jobs have the same patience, so the front is always the next to run out of it.
void TransactionQueue::sweep_loop() {
  const auto tick = std::clamp<Millis>(patience_ / 8, Millis(5), Millis(250));
  std::unique_lock lock(mutex_);
  while (!(closed_ && jobs_.empty())) {
    sweep_.wait_for(lock, tick);
    std::vector<Job> expired;
    const SteadyTime oldest = std::chrono::steady_clock::now() - patience_;
    while (!jobs_.empty() && jobs_.front().submitted < oldest) expired.push_back(std::move(*pop_front_locked()));
    if (expired.empty()) continue;
    lock.unlock();
    log::warn("sql_queue_expired", {{"transactions", expired.size()}});
    for (Job& job : expired) job.finish(metrics_, fail(ErrorCode::kStoreUnavailable, "The database is too busy."));
    lock.lock();
  }
}

}  // namespace bulkhead::sql
