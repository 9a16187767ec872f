#include "server/events_and_schedules.h"

#include <charconv>

#include "features/events/host_functions.h"
#include "features/events/routes.h"
#include "features/schedules/host_functions.h"
#include "features/schedules/routes.h"

namespace bulkhead::server {
namespace {

Result<std::vector<Millis>> retry_delays(const std::vector<std::string>& texts) {
  constexpr std::int64_t kLongest = std::int64_t{7} * 24 * 3'600'000;
  std::vector<Millis> delays;
  for (const std::string& text : texts) {
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || value < 1 || value > kLongest) {
      return fail(ErrorCode::kUnprocessable,
                  "events.retry_delays_ms: \"" + text + "\" is no number of milliseconds up to a week.");
    }
    delays.emplace_back(value);
  }
  if (delays.empty()) return fail(ErrorCode::kUnprocessable, "events.retry_delays_ms: name at least one delay.");
  return delays;
}

}  // namespace

Result<std::unique_ptr<EventsAndSchedules>> EventsAndSchedules::make(Base base, const Config& config) {
  events::EventWorkerOptions options;
  options.node = base.node;
  BH_TRY(options.retry_delays, retry_delays(config.event_retry_delays_ms));
  return std::unique_ptr<EventsAndSchedules>(
      new EventsAndSchedules(std::move(base), std::move(options), config.event_max_backlog));
}

EventsAndSchedules::EventsAndSchedules(Base base, events::EventWorkerOptions options, std::int64_t max_backlog)
    : base_(std::move(base)),
      worker_options_(std::move(options)),
      subscription_follower_(base_.random),
      schedule_follower_(base_.random),
      event_service_({base_.database, base_.clock, base_.random,
                      [this] {
                        base_.wake_relay();
                        if (event_worker_) event_worker_->wake();
                      }},
                     {.max_backlog = max_backlog}, base_.registry),
      schedule_service_({base_.database, base_.installs, base_.clock, base_.random, base_.node}) {}

void EventsAndSchedules::make_workers(Cores& cores, ThreadPool& pool, invocations::Invoker& invoker, bus::Bus& bus) {
  event_worker_ =
      std::make_unique<events::EventWorker>(events::EventWorker::Dependencies{cores, base_.database, base_.installs,
                                                                              invoker, pool, base_.clock, base_.random},
                                            worker_options_, base_.registry);
  event_worker_->listen(bus);
  schedule_runner_ = std::make_unique<schedules::ScheduleRunner>(schedules::ScheduleRunner::Dependencies{
      base_.database, base_.installs, invoker, base_.clock, base_.random, base_.node});
  schedule_worker_ = std::make_unique<schedules::ScheduleWorker>(
      schedules::ScheduleWorker::Dependencies{cores, base_.database, *schedule_runner_, base_.clock, base_.random},
      schedules::ScheduleWorkerOptions{}, base_.registry);
}

broker::HostFunctions EventsAndSchedules::host_functions() {
  broker::HostFunctions all = events::event_functions(event_service_);
  for (broker::HostFunction& function : schedules::schedule_functions(schedule_service_)) {
    all.push_back(std::move(function));
  }
  return all;
}

access::Routes EventsAndSchedules::routes(access::Authorizer& authorizer, access::TenantResolver& tenants) {
  access::Routes all = events::event_routes({authorizer, tenants, event_service_});
  for (access::Route& route : schedules::schedule_routes({authorizer, tenants, schedule_service_, *schedule_runner_})) {
    all.push_back(std::move(route));
  }
  return all;
}

void EventsAndSchedules::start(Cores& cores) {
  if (!event_worker_) return;
  cores.spawn(0, [this] { return event_worker_->run(); });
  cores.spawn(0, [this] { return schedule_worker_->run(); });
}

Task<> EventsAndSchedules::stop(Millis grace) {
  if (!event_worker_) co_return;
  co_await schedule_worker_->stop(grace);
  co_await event_worker_->stop(grace);
}

}  // namespace bulkhead::server
