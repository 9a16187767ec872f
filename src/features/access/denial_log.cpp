#include "features/access/denial_log.h"

#include <iterator>
#include <map>

#include "platform/async/cores.h"
#include "platform/observe/log.h"

namespace bulkhead::access {
namespace {

AuditEntry entry_of(const Denial& denial) {
  AuditEntry entry = audit_entry(denial.actor, denial.permission, denial.route, nullptr, {{"reason", denial.reason}});
  entry.outcome = "denied";
  return entry;
}

}  // namespace

DenialLog::DenialLog(sql::Database& database, const Clock& clock, Random& random, metrics::Registry& registry)
    : database_(database),
      clock_(clock),
      random_(random),
      dropped_(registry.counter("audit_denials_dropped_total", "Denials that did not fit the queue to the audit log")) {
}

void DenialLog::note(Denial denial) {
  const UtcMicros now = clock_.now();
  const std::scoped_lock lock(mutex_);
  if (queue_.size() >= kLimit) {
    dropped_.add();
    return;
  }
  queue_.push_back({std::move(denial), now});
}

Task<Status> DenialLog::write() {
  std::vector<Queued> taken;
  {
    const std::scoped_lock lock(mutex_);
    std::swap(taken, queue_);
  }
  std::map<std::optional<TenantId>, std::vector<Queued>> chains;
  for (Queued& queued : taken) chains[queued.denial.tenant].push_back(std::move(queued));
  Status first_problem;
  for (auto& [tenant, batch] : chains) {
    auto written = co_await write_chain(tenant, batch);
    if (written) continue;
    {
      const std::scoped_lock lock(mutex_);
      const std::size_t room = kLimit - std::min(kLimit, queue_.size());
      const std::size_t kept = std::min(room, batch.size());
      queue_.insert(queue_.end(), std::make_move_iterator(batch.begin()),
                    std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(kept)));
      dropped_.add(batch.size() - kept);
    }
    if (first_problem) first_problem = std::move(written);
  }
  co_return first_problem;
}

Task<Status> DenialLog::write_chain(std::optional<TenantId> tenant, std::vector<Queued> batch) {
  if (!tenant) {
    co_return co_await database_.system_write([this, batch = std::move(batch)](sql::SystemTx& tx) -> Status {
      for (const Queued& queued : batch) {
        BH_TRY_VOID(append_platform_audit(tx, entry_of(queued.denial), queued.at, random_));
      }
      return {};
    });
  }
  co_return co_await database_.write(TenantScope::for_background_job(*tenant, "audit rows of denials"),
                                     [this, batch = std::move(batch)](sql::TenantTx& tx) -> Status {
                                       for (const Queued& queued : batch)
                                         BH_TRY_VOID(append_audit(tx, entry_of(queued.denial), queued.at, random_));
                                       return {};
                                     });
}

Task<> DenialLog::keep_writing() {
  while (true) {
    co_await sleep_for(Millis(1'000));
    const auto written = co_await write();
    if (!written && written.error().code == ErrorCode::kShuttingDown) co_return;
    if (!written) log::warn("denials_not_audited", written.error());
  }
}

}  // namespace bulkhead::access
