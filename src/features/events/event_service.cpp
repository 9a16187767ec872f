#include "features/events/event_service.h"

#include <algorithm>

#include "base/utf8.h"
#include "features/events/event_filter.h"
#include "features/events/topic.h"
#include "platform/bus/outbox.h"

namespace bulkhead::events {
namespace {

constexpr Millis kBacklogAge{250};
constexpr std::size_t kMaxBacklogs = 4'096;
constexpr std::size_t kMaxEventId = 128;

bool is_event_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxEventId && is_valid_utf8(id) &&
         std::ranges::none_of(id, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string install_resource(const InstallId& install) { return "install:" + install.to_string(); }

Status apply(const SubscriptionChange& change, Subscription& subscription) {
  if (change.is_enabled) subscription.is_enabled = *change.is_enabled;
  if (change.resets_filter) subscription.filter.reset();
  if (change.filter) {
    BH_TRY_VOID(EventFilter::compile(*change.filter));
    subscription.filter = canonical_json(*change.filter);
  }
  return {};
}

json::array audit_view(const std::vector<Subscription>& subscriptions) {
  json::array view;
  for (const Subscription& subscription : subscriptions) {
    view.push_back({{"id", subscription.id.to_string()},
                    {"topic", subscription.topic},
                    {"enabled", subscription.is_enabled},
                    {"filter", subscription.effective_filter()}});
  }
  return view;
}

}  // namespace

EventService::EventService(Dependencies dependencies, Options options, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)),
      options_(options),
      emitted_(registry.counter("events_emitted_total", "Events that extensions emitted.")),
      refused_(registry.counter("events_refused_total", "Events that were not taken.")) {}

Result<EmittedEvent> EventService::checked(const extensions::InstalledExtension& install, Emission emission) {
  if (!is_valid_event_topic(emission.topic)) {
    return fail(ErrorCode::kUnprocessable, "A topic is words of a-z 0-9 _ - joined by dots, at most 128 bytes.");
  }
  if (is_platform_topic(emission.topic)) {
    return fail(ErrorCode::kCapabilityDenied,
                "Topics of " + emission.topic.substr(0, emission.topic.find('.')) + ".* are the platform's own.");
  }
  if (emission.payload_json.size() > kMaxPayload) {
    return fail(ErrorCode::kPayloadTooLarge, "An event's payload holds at most 256 KiB.");
  }
  if (emission.hops >= kMaxHops) {
    return fail(ErrorCode::kQuotaExceeded, "Sixteen events have led here, one causing the next: this is a loop.");
  }
  const UtcMicros now = dependencies_.clock.now();
  EmittedEvent event{.id = EventRowId::v7(now, dependencies_.random),
                     .tenant_id = install.tenant_id,
                     .install_id = install.install_id,
                     .source = install.extension_name,
                     .event_id = std::move(emission.id),
                     .topic = std::move(emission.topic),
                     .payload_json = std::move(emission.payload_json),
                     .hops = emission.hops + 1,
                     .trace_parent = std::move(emission.trace_parent),
                     .created_at = now};
  if (event.event_id.empty()) event.event_id = event.id.to_string();
  if (!is_event_id(event.event_id)) {
    return fail(ErrorCode::kUnprocessable, "An event id is 1 to 128 bytes without control characters.");
  }
  return event;
}

// Counted in the store at most four times a second for each emitter, so the bound may be passed by what is emitted in
// between on other nodes. (In the emitting transaction it would make emitters of one install wait for each other.)
Task<Status> EventService::check_backlog(TenantScope scope, InstallId install) {
  const SteadyTime now = dependencies_.clock.steady_now();
  const auto refuse_if_full = [this](const Backlog& backlog) -> Status {
    if (backlog.count < options_.max_backlog) return {};
    Error error = fail(ErrorCode::kQuotaExceeded, "Too many events of this extension are not handled yet.").error();
    error.retry_after_ms = 1'000;
    return fail(std::move(error));
  };
  {
    const std::scoped_lock lock(mutex_);
    const auto known = backlogs_.find(install);
    if (known != backlogs_.end() && now - known->second.read_at < kBacklogAge) {
      BH_CO_TRY_VOID(refuse_if_full(known->second));
      ++known->second.count;
      co_return Status();
    }
  }
  BH_CO_TRY(const std::int64_t count,
            co_await dependencies_.database.read(scope, [install, limit = options_.max_backlog](sql::TenantTx& tx) {
              return count_backlog(tx, install, limit);
            }));
  const std::scoped_lock lock(mutex_);
  if (backlogs_.size() >= kMaxBacklogs) backlogs_.clear();
  const Backlog& backlog = backlogs_[install] = {count + 1, now};
  co_return refuse_if_full({backlog.count - 1, now});
}

Task<Result<std::string>> EventService::emit(TenantScope scope, const extensions::InstalledExtension& install,
                                             Emission emission) {
  auto event = checked(install, std::move(emission));
  if (event) {
    if (Status room = co_await check_backlog(scope, install.install_id); !room) event = fail(std::move(room.error()));
  }
  if (!event) {
    refused_.add();
    co_return fail(std::move(event.error()));
  }
  std::string id = event->event_id;
  bus::Event notice = bus::make_event(dependencies_.clock, dependencies_.random, "extension.event.emitted",
                                      {{"event_row_id", event->id.to_string()}});
  BH_CO_TRY_VOID(co_await dependencies_.database.write(
      scope, [event = std::move(*event), notice = std::move(notice)](sql::TenantTx& tx) -> Status {
        BH_TRY(const bool is_new, insert_event(tx, event));
        if (!is_new) return {};  // emitted before: at least once is their promise, once is ours
        return bus::append(tx, notice);
      }));
  emitted_.add();
  dependencies_.after_commit();
  co_return id;
}

Task<Result<std::vector<Subscription>>> EventService::subscriptions(TenantScope scope, InstallId install) {
  co_return co_await dependencies_.database.read(
      scope, [install](sql::TenantTx& tx) { return list_subscriptions(tx, install); });
}

Task<Result<std::vector<Subscription>>> EventService::change(access::Actor actor, TenantScope scope, InstallId install,
                                                             std::vector<SubscriptionChange> changes) {
  const UtcMicros now = dependencies_.clock.now();
  co_return co_await dependencies_.database.write(
      scope,
      [this, now, install, actor = std::move(actor),
       changes = std::move(changes)](sql::TenantTx& tx) -> Result<std::vector<Subscription>> {
        BH_TRY(auto subscriptions, list_subscriptions(tx, install));
        const json::array before = audit_view(subscriptions);
        for (const SubscriptionChange& change : changes) {
          const auto found = std::ranges::find(subscriptions, change.id, &Subscription::id);
          if (found == subscriptions.end()) {
            return fail(ErrorCode::kNotFound, "The install has no subscription " + change.id.to_string() + ".");
          }
          BH_TRY_VOID(apply(change, *found));
          found->updated_at = now;
          BH_TRY_VOID(update_subscription(tx, *found));
        }
        BH_TRY_VOID(
            access::append_audit(tx,
                                 access::audit_entry(actor, "install.subscriptions.update", install_resource(install),
                                                     before, audit_view(subscriptions)),
                                 now, dependencies_.random));
        return subscriptions;
      });
}

Task<Result<std::vector<DeadLetter>>> EventService::dead_letters(TenantScope scope, InstallId install,
                                                                 std::string after, std::size_t limit) {
  co_return co_await dependencies_.database.read(scope, [install, after = std::move(after), limit](sql::TenantTx& tx) {
    return list_dead_letters(tx, install, after, static_cast<std::int64_t>(limit));
  });
}

Task<Result<std::int64_t>> EventService::redrive(access::Actor actor, TenantScope scope, InstallId install,
                                                 std::optional<DeliveryId> id) {
  const UtcMicros now = dependencies_.clock.now();
  auto redriven = co_await dependencies_.database.write(
      scope, [this, now, install, id, actor = std::move(actor)](sql::TenantTx& tx) -> Result<std::int64_t> {
        BH_TRY(const std::int64_t count, events::redrive(tx, install, id, now));
        if (id && count == 0) return fail(ErrorCode::kNotFound, "There is no such dead letter.");
        BH_TRY_VOID(access::append_audit(
            tx,
            access::audit_entry(actor, "install.dead_letters.redrive", install_resource(install), nullptr,
                                json::object{{"id", id ? id->to_string() : "all"}, {"count", count}}),
            now, dependencies_.random));
        return count;
      });
  if (redriven) dependencies_.after_commit();
  co_return redriven;
}

}  // namespace bulkhead::events
