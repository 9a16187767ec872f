// Events and schedules, wired: their services for every role, their workers and routes for `serve`.
//
// Made by Platform after the install directory; the workers once there is an Invoker. Everything handed over outlives
// this.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/broker/host_function.h"
#include "features/events/event_service.h"
#include "features/events/event_worker.h"
#include "features/events/subscription_follower.h"
#include "features/schedules/schedule_follower.h"
#include "features/schedules/schedule_runner.h"
#include "features/schedules/schedule_service.h"
#include "features/schedules/schedule_worker.h"
#include "server/config.h"

namespace bulkhead::server {

class EventsAndSchedules {
 public:
  struct Base {
    sql::Database& database;
    extensions::InstallDirectory& installs;
    const Clock& clock;
    Random& random;  // thread-safe
    metrics::Registry& registry;
    std::string node;  // of this data folder
    std::function<void()> wake_relay;
  };
  // kUnprocessable: a setting.
  static Result<std::unique_ptr<EventsAndSchedules>> make(Base base, const Config& config);

  // Before the cores start; for the one process that runs executions of its own accord.
  void make_workers(Cores& cores, ThreadPool& pool, invocations::Invoker& invoker, bus::Bus& bus);

  std::vector<extensions::InstallFollower*> followers() { return {&subscription_follower_, &schedule_follower_}; }
  broker::HostFunctions host_functions();
  // After make_workers.
  access::Routes routes(access::Authorizer& authorizer, access::TenantResolver& tenants);
  void start(Cores& cores);
  // On core 0.
  Task<> stop(Millis grace);

 private:
  EventsAndSchedules(Base base, events::EventWorkerOptions options, std::int64_t max_backlog);

  Base base_;
  events::EventWorkerOptions worker_options_;
  events::SubscriptionFollower subscription_follower_;
  schedules::ScheduleFollower schedule_follower_;
  events::EventService event_service_;
  schedules::ScheduleService schedule_service_;
  std::unique_ptr<events::EventWorker> event_worker_;
  std::unique_ptr<schedules::ScheduleRunner> schedule_runner_;
  std::unique_ptr<schedules::ScheduleWorker> schedule_worker_;
};

}  // namespace bulkhead::server
