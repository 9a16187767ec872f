#include "features/executions/execution_log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "features/executions/execution_store.h"
#include "platform/observe/log.h"

namespace bulkhead::executions {
namespace {

constexpr Millis kMaxBackoff{5'000};
constexpr Millis kForgetInterval{60'000};
constexpr int kForgetLimit = 2'000;

// Shared with the transaction, which may outlive the coroutine that asked for it (shutdown).
using Batch = std::shared_ptr<const std::vector<Execution>>;

Execution as_unknown(ExecutionStart start, UtcMicros now) {
  Execution execution;
  execution.end.id = start.id;
  execution.end.status = ExecutionStatus::kUpstreamError;
  execution.end.http_status = 503;
  execution.end.error_code = "outcome_unknown";
  execution.end.error_message = "The server stopped while this call was running.";
  execution.end.ended_at = now;
  execution.start = std::move(start);
  return execution;
}

}  // namespace

ExecutionLogMetrics::ExecutionLogMetrics(metrics::Registry& registry)
    : recorded(registry.counter("execution_log_recorded_total", "Executions written to the execution log.")),
      replayed(registry.counter("execution_log_replayed_total", "Executions written from the journal after a crash.")),
      flush_failures(registry.counter("execution_log_flush_failures_total", "Batches that SQL did not take.")),
      refused(registry.counter("execution_log_refused_total", "Calls refused because they could not be logged.")) {}

CoreLog::CoreLog(sql::Database& database, const Clock& clock, ExecutionLogOptions options, ExecutionLogMetrics& metrics,
                 std::unique_ptr<Journal> journal)
    : database_(database),
      clock_(clock),
      options_(std::move(options)),
      metrics_(metrics),
      journal_(std::move(journal)) {}

Status CoreLog::begin(const ExecutionStart& start) {
  auto appended = journal_->append_start(start);
  if (!appended) metrics_.refused.add();
  return appended;
}

void CoreLog::finish(Execution execution) {
  if (auto appended = journal_->append_end(execution.end); !appended) {
    log::error("execution_journal_append_failed", appended.error(), {{"request_id", execution.start.request_id}});
  }
  finished_.push_back(std::move(execution));
  finished_count_.store(finished_count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

Task<bool> CoreLog::flush_once() {
  const std::size_t count = std::min(finished_.size(), options_.batch);
  auto batch = std::make_shared<std::vector<Execution>>();
  batch->reserve(count);
  std::move(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count), std::back_inserter(*batch));
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  const Batch shared = batch;
  const auto written = co_await database_.system_write(
      [shared, offered = offered_](sql::SystemTx& tx) { return record_executions(tx, *shared, offered); });
  offered_ = written ? Offered::kOnce : Offered::kPerhapsBefore;
  if (!written) {
    metrics_.flush_failures.add();
    log::warn("execution_log_flush_failed", written.error(), {{"waiting", count}});
    finished_.insert(finished_.begin(), shared->begin(), shared->end());
    co_return false;
  }
  metrics_.recorded.add(static_cast<std::uint64_t>(*written));
  for (const Execution& execution : *shared) journal_->settled(execution.start.id);
  recorded_count_.store(recorded_count_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  co_return true;
}

Task<> CoreLog::forget_old() {
  const UtcMicros cutoff = clock_.now() - options_.keep;
  const auto removed = co_await database_.system_write(
      [cutoff](sql::SystemTx& tx) { return forget_executions(tx, cutoff, kForgetLimit); });
  if (!removed) log::warn("execution_log_retention_failed", removed.error());
}

Task<> CoreLog::run() {
  Millis pause = options_.flush_interval;
  SteadyTime next_forget = clock_.steady_now() + kForgetInterval;
  while (!stopping_) {
    co_await sleep_for(pause);
    pause = options_.flush_interval;
    bool more = !finished_.empty();
    while (more) {
      const bool written = co_await flush_once();
      if (!written) pause = std::min(kMaxBackoff, std::max(pause * 2, Millis(500)));
      more = written && finished_.size() >= options_.batch;
    }
    if (clock_.steady_now() >= next_forget) {
      next_forget = clock_.steady_now() + kForgetInterval;
      co_await forget_old();
    }
  }
  while (!finished_.empty()) {
    if (!co_await flush_once()) break;
  }
}

Status ExecutionLog::replay(sql::Database& database, const Clock& clock, const std::string& directory,
                            ExecutionLogMetrics& metrics) {
  BH_TRY(Journal::Recovered recovered, Journal::recover(directory));
  for (ExecutionStart& start : recovered.unfinished) {
    recovered.finished.push_back(as_unknown(std::move(start), clock.now()));
  }
  constexpr std::size_t kChunk = 400;
  for (std::size_t at = 0; at < recovered.finished.size(); at += kChunk) {
    const std::span<const Execution> chunk(recovered.finished.data() + at,
                                           std::min(kChunk, recovered.finished.size() - at));
    BH_TRY(const std::int64_t inserted, database.system_write_blocking([&](sql::SystemTx& tx) -> Result<std::int64_t> {
      return record_executions(tx, chunk, Offered::kPerhapsBefore);
    }));
    metrics.replayed.add(static_cast<std::uint64_t>(inserted));
  }
  if (!recovered.finished.empty()) {
    log::info("execution_journal_replayed",
              {{"executions", recovered.finished.size()}, {"unfinished", recovered.unfinished.size()}});
  }
  for (const std::string& file : recovered.files) ::unlink(file.c_str());
  return {};
}

Result<std::unique_ptr<ExecutionLog>> ExecutionLog::open(Cores& cores, sql::Database& database, const Clock& clock,
                                                         ExecutionLogOptions options, metrics::Registry& registry) {
  std::unique_ptr<ExecutionLog> log(new ExecutionLog(registry));
  BH_TRY_VOID(replay(database, clock, options.directory, log->metrics_));
  for (std::size_t i = 0; i < cores.size(); ++i) {
    BH_TRY(auto journal, Journal::open({.directory = options.directory,
                                        .name = "core" + std::to_string(i),
                                        .segment_size = options.segment_size,
                                        .max_segments = options.max_segments}));
    log->cores_.push_back(std::make_unique<CoreLog>(database, clock, options, log->metrics_, std::move(journal)));
  }
  return log;
}

void ExecutionLog::start(Cores& cores) {
  running_ = cores_.size();
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    cores.spawn(i, [this, i]() -> Task<> {
      co_await cores_[i]->run();
      --running_;
    });
  }
}

Task<> ExecutionLog::catch_up(Millis patience) const {
  std::vector<std::uint64_t> wanted;
  for (const auto& core : cores_) wanted.push_back(core->finished_count());
  const auto behind = [&] {
    for (std::size_t core = 0; core < cores_.size(); ++core) {
      if (cores_[core]->recorded_count() < wanted[core]) return true;
    }
    return false;
  };
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (behind() && std::chrono::steady_clock::now() < give_up) co_await sleep_for(Millis(10));
}

Task<> ExecutionLog::stop(Millis grace) {
  for (const auto& core : cores_) core->stop();
  const auto give_up = std::chrono::steady_clock::now() + grace;
  while (running_ > 0 && std::chrono::steady_clock::now() < give_up) co_await sleep_for(Millis(10));
}

}  // namespace bulkhead::executions
