#include "platform/observe/log.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "platform/observe/log_line.h"

namespace bulkhead::log {
namespace {

// About 4 MiB of short lines; a stuck reader of stderr costs no more than that.
constexpr std::size_t kQueueLines = 8192;

void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd wait{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&wait, 1, 1000);
    } else if (errno != EINTR) {
      return;  // nobody is left to tell
    }
  }
}

// Runs on the writer's thread only. Lines arrive rendered; spdlog brings the queue and the thread.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  // `queue` owns the thread that calls this sink, so it is there whenever the sink runs.
  explicit StderrSink(spdlog::details::thread_pool& queue) : queue_(queue) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    report_dropped();
    write_to_stderr({message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

 private:
  void report_dropped() {
    const std::size_t dropped = queue_.overrun_counter();
    if (dropped == reported_) return;
    const Field fields[] = {{"lines", dropped - reported_}};
    reported_ = dropped;
    write_to_stderr(log_line(SystemClock().now(), Level::kWarn, "log_lines_dropped", fields, nullptr));
  }

  spdlog::details::thread_pool& queue_;
  std::size_t reported_ = 0;
};

// The queue goes first: its destructor joins the thread, and only then does the logger take the sink away.
struct Writer {
  std::shared_ptr<spdlog::async_logger> logger;
  std::shared_ptr<spdlog::details::thread_pool> queue;
};

// stderr belongs to the process, so its writer does too. Readers share the lock; `start` and `stop` take it alone.
std::shared_mutex writer_mutex;
Writer writer;
std::atomic<Level> least_level{Level::kInfo};

constexpr std::size_t kHeldLines = 1000;
struct Held {
  bool holding = false;
  std::vector<std::string> lines;
};
std::mutex held_mutex;
Held held;

// True when the line was kept for later.
bool keep_for_later(const std::string& line) {
  const std::scoped_lock lock(held_mutex);
  if (!held.holding || held.lines.size() >= kHeldLines) return false;
  held.lines.push_back(line);
  return true;
}

std::vector<std::string> release_held() {
  const std::scoped_lock lock(held_mutex);
  held.holding = false;
  return std::exchange(held.lines, {});
}

void put_line(const std::string& line) {
  const std::shared_lock lock(writer_mutex);
  if (writer.logger) {
    writer.logger->log(spdlog::level::critical, spdlog::string_view_t(line.data(), line.size()));
  } else {
    write_to_stderr(line);
  }
}

void put(Level level, std::string_view event, Fields fields, const Error* problem) {
  if (!enabled(level)) return;
  const std::string line = log_line(SystemClock().now(), level, event, {fields.begin(), fields.size()}, problem);
  if (!keep_for_later(line)) put_line(line);
}

}  // namespace

void start(Level least) {
  least_level.store(least, std::memory_order_relaxed);
  const std::unique_lock lock(writer_mutex);
  if (writer.logger) return;
  writer.queue = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1);
  writer.logger = std::make_shared<spdlog::async_logger>("bulkhead", std::make_shared<StderrSink>(*writer.queue),
                                                         writer.queue, spdlog::async_overflow_policy::overrun_oldest);
}

void hold() {
  const std::scoped_lock lock(held_mutex);
  held.holding = true;
}

void ready(Fields fields) {
  const std::vector<std::string> waited = release_held();
  put_line(log_line(SystemClock().now(), Level::kInfo, "ready", {fields.begin(), fields.size()}, nullptr));
  for (const std::string& line : waited) put_line(line);
}

void warn_at_once(std::string_view event, const Error& problem) {
  if (enabled(Level::kWarn)) put_line(log_line(SystemClock().now(), Level::kWarn, event, {}, &problem));
}

void stop() {
  for (const std::string& line : release_held()) put_line(line);
  Writer ended;
  {
    const std::unique_lock lock(writer_mutex);
    ended = std::exchange(writer, {});
  }
  // The pool's destructor queues its end mark behind the lines and joins the thread.
}

bool enabled(Level level) { return level >= least_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, Fields fields) { put(level, event, fields, nullptr); }
void error(std::string_view event, const Error& problem, Fields fields) { put(Level::kError, event, fields, &problem); }
void warn(std::string_view event, const Error& problem, Fields fields) { put(Level::kWarn, event, fields, &problem); }

}  // namespace bulkhead::log
