#include "sandbox/execution.h"

#include <bulkhead_native.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "sandbox/native_buffer.h"

namespace bulkhead::sandbox {

namespace {

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The steady clock costs 25 ns but counts what other programs do meanwhile; the thread's CPU clock is exact and costs a
// system call (0.5 µs), so it is used only for runs that have already taken a whole time slice.
std::chrono::nanoseconds cpu_now(bool exact) {
  timespec time{};
  clock_gettime(exact ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Error error_of(const bh_outcome& outcome, const protocol::Limits& limits) {
  Error error;
  const std::string_view message = text_of(outcome.message, outcome.message_size);
  error.detail = text_of(outcome.backtrace, outcome.backtrace_size);
  switch (outcome.kind) {
    case BH_OUTCOME_TRAP:
      error.code = ErrorCode::kTrap;
      error.message = fmt::format("The extension trapped: {}.", message);
      break;
    case BH_OUTCOME_ABORT:
      error.code = ErrorCode::kTrap;
      error.message = fmt::format("The extension aborted: {}", message);
      break;
    case BH_OUTCOME_MEMORY:
      error.code = ErrorCode::kMemoryExceeded;
      error.message = fmt::format("The extension needs more memory than its limit of {}.", to_string(limits.memory));
      break;
    case BH_OUTCOME_HANDLER_ERROR:
      error.code = ErrorCode::kHandlerError;
      error.message = fmt::format("The handler returned error {}.", outcome.number);
      break;
    case BH_OUTCOME_RESPONSE_SIZE:
      error.code = ErrorCode::kResponseTooLarge;
      error.message = message;
      break;
    case BH_OUTCOME_ABI:
      error.code = ErrorCode::kModuleInvalid;
      error.message = fmt::format("The extension breaks ABI v1: {}", message);
      break;
    case BH_OUTCOME_FUEL:
      error.code = ErrorCode::kTimeout;
      error.message = fmt::format("The extension used up its fuel of {}.", limits.fuel);
      break;
    case BH_OUTCOME_NO_SLOT:
      error.code = ErrorCode::kRunnerOverloaded;
      error.retry_after_ms = 1'000;
      break;
    case BH_OUTCOME_OK:
    case BH_OUTCOME_INTERNAL:
      error.code = ErrorCode::kInternal;
      error.detail = message;
      break;
  }
  return error;
}

}  // namespace

Result<std::unique_ptr<Execution>> Execution::create(std::shared_ptr<const Module> module, ExecutionInput input,
                                                     HostCalls& host_calls) {
  const EngineSettings& settings = module->engine()->settings();
  if (input.limits.fuel > 0 && settings.metering != Metering::kFuel) {
    return fail(ErrorCode::kModuleInvalid, "The call has a fuel limit, and this runner's code does not count fuel.");
  }
  input.limits.memory = std::min(input.limits.memory, settings.max_memory);
  return std::unique_ptr<Execution>(new Execution(std::move(module), std::move(input), host_calls));
}

Execution::Execution(std::shared_ptr<const Module> module, ExecutionInput input, HostCalls& host_calls)
    : module_(std::move(module)),
      input_(std::move(input)),
      host_calls_(host_calls),
      created_(engine().clock().steady_now()) {
  const bh_limits limits{.memory = input_.limits.memory.value,
                         .fuel = input_.limits.fuel,
                         .response = input_.limits.response.value,
                         .log = input_.limits.log.value,
                         .host_calls = input_.limits.host_calls};
  native_.reset(bh_execution_new(module_->native(), &limits, native_bytes(input_.request), input_.request.size()));
}

Execution::~Execution() {
  if (holds_slot_) engine().remove_live_execution();
}

void Execution::Delete::operator()(bh_execution* execution) const { bh_execution_delete(execution); }

Progress Execution::resume() {
  BH_ASSERT(!is_done() && !is_running_);
  if (engine().clock().steady_now() >= input_.deadline) {
    finish(
        fail(ErrorCode::kTimeout, fmt::format("The extension took longer than {} ms.", input_.limits.timeout.count())));
    return Progress::kDone;
  }
  if (waiting_for_ != 0) return Progress::kWaiting;
  if (!holds_slot_) {
    holds_slot_ = true;
    engine().add_live_execution();
  }
  is_running_ = true;
  engine().ticker().enter();
  const bool exact = has_yielded_;
  const auto start = cpu_now(exact);
  const Progress progress = run_slice();
  cpu_ += cpu_now(exact) - start;
  engine().ticker().leave();
  is_running_ = false;
  if (progress == Progress::kYielded) has_yielded_ = true;
  if (progress == Progress::kDone) finish_as_native_says();
  return progress;
}

Progress Execution::run_slice() {
  for (;;) {
    bh_event event{};
    switch (bh_execution_poll(native_.get(), &event)) {
      case BH_DONE:
        return Progress::kDone;
      case BH_YIELDED:
        return Progress::kYielded;
      case BH_RESPONSE:
        response_ = text_of(event.data, event.size);
        break;
      case BH_HOST_CALL: {
        waiting_for_ = event.call;
        std::optional<HostAnswer> answered =
            host_calls_.start(*this, event.call, kHostFunctions.at(event.function), text_of(event.data, event.size));
        if (!answered) return Progress::kWaiting;
        answer(std::move(*answered), false);
        break;
      }
    }
  }
}

void Execution::answer(HostAnswer answer, bool is_new_slice) {
  answer_ = std::move(answer);
  waiting_for_ = 0;
  bh_execution_answer(native_.get(), static_cast<std::int32_t>(answer_.code), native_bytes(answer_.response_json),
                      answer_.response_json.size(), is_new_slice);
}

void Execution::complete_host_call(HostCallToken token, HostAnswer completed) {
  BH_ASSERT(!is_running_);
  if (is_done() || token == 0 || token != waiting_for_) return;
  answer(std::move(completed), true);
}

void Execution::cancel(Error reason) {
  BH_ASSERT(!is_running_);
  if (!is_done()) finish(fail(std::move(reason)));
}

void Execution::finish_as_native_says() {
  bh_outcome outcome{};
  bh_execution_outcome(native_.get(), &outcome);
  if (outcome.kind == BH_OUTCOME_OK) {
    finish(std::move(response_));
    return;
  }
  if (outcome.kind == BH_OUTCOME_HANDLER_ERROR) handler_error_ = outcome.number;
  finish(fail(error_of(outcome, input_.limits)));
}

void Execution::finish(Result<std::string> response) {
  ExecutionResult result;
  result.response = std::move(response);
  result.handler_error = handler_error_;
  bh_usage native_usage{};
  bh_execution_usage(native_.get(), &native_usage);
  result.logs.reserve(native_usage.log_lines);
  for (std::uint32_t index = 0; index < native_usage.log_lines; ++index) {
    bh_log_line line{};
    bh_execution_log(native_.get(), index, &line);
    result.logs.push_back({.level = static_cast<protocol::LogLine::Level>(line.level),
                           .at = UtcMicros{line.utc_micros},
                           .text = std::string(text_of(line.text, line.size))});
  }
  result.logs_truncated = native_usage.log_truncated;
  final_usage_ = usage();
  result.usage = final_usage_;
  result_ = std::move(result);
  native_.reset();  // unwinds a suspended guest and frees its slot
  if (std::exchange(holds_slot_, false)) engine().remove_live_execution();
}

protocol::Usage Execution::usage() const {
  if (is_done()) return final_usage_;
  bh_usage native_usage{};
  bh_execution_usage(native_.get(), &native_usage);
  protocol::Usage usage;
  usage.cpu_us = static_cast<std::uint64_t>(std::chrono::ceil<Micros>(cpu_).count());
  const auto wall = engine().clock().steady_now() - created_;
  usage.wall_us = static_cast<std::uint64_t>(std::chrono::ceil<Micros>(wall).count());
  usage.memory_bytes = native_usage.memory;
  if (input_.limits.fuel > 0) usage.fuel = native_usage.fuel;
  usage.host_calls = native_usage.host_calls;
  return usage;
}

ExecutionResult Execution::take_result() {
  BH_ASSERT(result_.has_value());
  ExecutionResult result = std::move(*result_);
  result_.reset();
  return result;
}

}  // namespace bulkhead::sandbox
