// The bus of one process. Publishing puts a shared message into the queues of the matching subscriptions and posts to
// their cores; nothing runs on the publisher's thread.
#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "platform/bus/bus.h"
#include "platform/bus/topics.h"

namespace bulkhead::bus {
namespace {

constexpr std::size_t kQueueLimit = 10'000;
// Messages a subscription may handle before its core looks at other work.
constexpr std::size_t kMostAtOnce = 128;

using SharedMessage = std::shared_ptr<const Message>;

// One subscription's queue. `push` is thread-safe; everything else belongs to the core.
class Queue : public std::enable_shared_from_this<Queue> {
 public:
  Queue(Core& core, std::string pattern, Bus::Handlers handlers)
      : core_(core), pattern_(std::move(pattern)), handlers_(std::move(handlers)) {}
  const std::string& pattern() const { return pattern_; }

  void push(SharedMessage message) {
    {
      const std::scoped_lock lock(mutex_);
      if (waiting_.size() >= kQueueLimit) {
        waiting_.pop_front();
        lost_ = true;
      }
      waiting_.push_back(std::move(message));
      if (std::exchange(scheduled_, true)) return;
    }
    schedule();
  }

  void close() { closed_ = true; }

 private:
  void schedule() {
    asio::post(core_.executor(), [self = shared_from_this()] { self->deliver(); });
  }

  void deliver() {
    std::deque<SharedMessage> batch;
    bool lost = false;
    {
      const std::scoped_lock lock(mutex_);
      lost = std::exchange(lost_, false);
      const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kMostAtOnce));
      batch.assign(std::move_iterator(waiting_.begin()), std::move_iterator(end));
      waiting_.erase(waiting_.begin(), end);
    }
    if (lost && !closed_ && handlers_.lost) handlers_.lost();
    for (const SharedMessage& message : batch) {
      if (closed_) return;  // by a handler; stays scheduled, so nothing is posted any more
      handlers_.message(*message);
    }
    {
      const std::scoped_lock lock(mutex_);
      scheduled_ = !waiting_.empty();
      if (!scheduled_) return;
    }
    schedule();
  }

  Core& core_;
  const std::string pattern_;
  const Bus::Handlers handlers_;
  bool closed_ = false;
  std::mutex mutex_;
  std::deque<SharedMessage> waiting_;
  bool lost_ = false;
  bool scheduled_ = false;  // a `deliver` is posted or runs
};

// Who listens to what. Shared by the bus and its subscriptions, so that either may go first.
class Listeners {
 public:
  void add(const std::shared_ptr<Queue>& queue) {
    const std::scoped_lock lock(mutex_);
    list_for(queue->pattern()).push_back(queue);
  }

  void remove(const std::shared_ptr<Queue>& queue) {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<Queue>>& list = list_for(queue->pattern());
    std::erase(list, queue);
    if (list.empty()) exact_.erase(queue->pattern());
  }

  void push(const SharedMessage& message) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = exact_.find(message->topic); found != exact_.end()) {
      for (const auto& queue : found->second) queue->push(message);
    }
    for (const auto& queue : prefixes_) {
      if (matches(queue->pattern(), message->topic)) queue->push(message);
    }
  }

 private:
  std::vector<std::shared_ptr<Queue>>& list_for(const std::string& pattern) {
    return pattern.ends_with('*') ? prefixes_ : exact_[pattern];
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Queue>>> exact_;
  std::vector<std::shared_ptr<Queue>> prefixes_;
};

class LocalSubscription final : public Subscription {
 public:
  LocalSubscription(std::shared_ptr<Listeners> listeners, std::shared_ptr<Queue> queue)
      : listeners_(std::move(listeners)), queue_(std::move(queue)) {}
  ~LocalSubscription() override {
    listeners_->remove(queue_);
    queue_->close();
  }
  LocalSubscription(const LocalSubscription&) = delete;
  LocalSubscription& operator=(const LocalSubscription&) = delete;

 private:
  std::shared_ptr<Listeners> listeners_;
  std::shared_ptr<Queue> queue_;
};

class LocalBus final : public Bus {
 public:
  void publish(Message message) override { listeners_->push(std::make_shared<const Message>(std::move(message))); }

  std::unique_ptr<Subscription> subscribe(Core& core, std::string pattern, Handlers handlers) override {
    BH_ASSERT(is_valid_pattern(pattern) && handlers.message);
    auto queue = std::make_shared<Queue>(core, std::move(pattern), std::move(handlers));
    listeners_->add(queue);
    return std::make_unique<LocalSubscription>(listeners_, std::move(queue));
  }

 private:
  std::shared_ptr<Listeners> listeners_ = std::make_shared<Listeners>();
};

}  // namespace

std::unique_ptr<Bus> make_local_bus() { return std::make_unique<LocalBus>(); }

}  // namespace bulkhead::bus
