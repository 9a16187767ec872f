// ScheduleRunner: runs one firing of a schedule and writes down how it ended. Shared by the worker and by runs by hand.
// Thread-safe; called on the core it is given.
#pragma once

#include <string>

#include "features/extensions/installed.h"
#include "features/invocations/invoker.h"
#include "features/schedules/schedule_store.h"

namespace bulkhead::schedules {

class ScheduleRunner {
 public:
  struct Dependencies {
    sql::Database& database;
    extensions::InstallDirectory& installs;
    invocations::Invoker& invoker;
    const Clock& clock;
    Random& random;    // thread-safe
    std::string node;  // the same after a restart; no two at once
  };
  explicit ScheduleRunner(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

  Lease new_lease() const;
  Task<Firing> run(std::size_t core, Schedule schedule, Firing firing);
  const std::string& node() const { return dependencies_.node; }

 private:
  Task<> invoke(std::size_t core, const Schedule& schedule, Firing& firing);
  Dependencies dependencies_;
};

}  // namespace bulkhead::schedules
