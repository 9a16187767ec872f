// bus::Bus: at-most-once publish/subscribe between rooms and nodes: the fast path. The store is the truth: whoever must
// not miss a message writes it to the outbox (outbox.h) in the same transaction and makes its consumer idempotent.
//
// Topics are dot-separated words; a subscription names a topic or a prefix ("policy.invalidate.*"). Handlers run on the
// core they were subscribed on. Each subscription has a bounded queue; overflow drops the oldest and tells the handler
// by `lost()` so that it can catch up from the store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/async/cores.h"

namespace bulkhead::bus {

struct Message {
  std::string topic;
  std::string payload;  // JSON
};

// Ends the subscription when destroyed (on its core's thread, or after the cores stopped).
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Bus {
 public:
  virtual ~Bus() = default;
  // Thread-safe, never blocks.
  virtual void publish(Message message) = 0;
  struct Handlers {
    std::function<void(const Message&)> message;
    std::function<void()> lost;
  };
  [[nodiscard]] virtual std::unique_ptr<Subscription> subscribe(Core& core, std::string pattern, Handlers handlers) = 0;
};

// In-process bus for one node.
std::unique_ptr<Bus> make_local_bus();

}  // namespace bulkhead::bus
