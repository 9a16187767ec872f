#include "runner/module_cache.h"

#include <boost/asio/post.hpp>

#include "platform/observe/log.h"
#include "runner/module_loader.h"

namespace bulkhead::runner {
namespace {

constexpr std::size_t kLoadThreads = 1;
constexpr std::size_t kLoadQueue = 256;

}  // namespace

// A module that has been asked for.
struct ModuleCache::Load final : Deadlines::Waiter {
  using Waiters = boost::intrusive::list<ModuleWaiter, boost::intrusive::base_hook<ModuleWaiter>,
                                         boost::intrusive::constant_time_size<false>>;
  Load(ModuleCache& owner, const ContentHash& content_hash, ModuleRequester* asked)
      : cache(owner), hash(content_hash), requester(asked) {}
  void on_deadline() override {
    cache.finish(hash, fail(ErrorCode::kBundleFetchFailed, "The module did not arrive in time."));
  }

  ModuleCache& cache;
  ContentHash hash;
  ModuleRequester* requester;
  Waiters waiters;
};

ModuleCache::ModuleCache(asio::io_context& context, Deadlines& deadlines, std::shared_ptr<sandbox::Engine> engine,
                         const protocol::CodePublicKey& key, const ModuleCacheLimits& limits, const Clock& clock,
                         std::function<void()> loaded)
    : context_(context),
      deadlines_(deadlines),
      engine_(std::move(engine)),
      key_(key),
      limits_(limits),
      clock_(clock),
      loaded_(std::move(loaded)),
      pool_(kLoadThreads, kLoadQueue) {}

ModuleCache::~ModuleCache() {
  for (auto& [hash, load] : loads_) {
    load->waiters.clear();
    deadlines_.clear(*load);
  }
}

ModulePtr ModuleCache::find(const ContentHash& hash) {
  const auto found = entries_.find(hash);
  if (found == entries_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->module;
}

ModuleCache::Load& ModuleCache::load_of(const ContentHash& hash, ModuleRequester& requester) {
  auto& load = loads_[hash];
  if (!load) {
    load = std::make_unique<Load>(*this, hash, &requester);
    deadlines_.set(*load, clock_.steady_now() + limits_.load_timeout);
    requester.need_module(hash);
  }
  return *load;
}

void ModuleCache::wait(const ContentHash& hash, ModuleWaiter& waiter, ModuleRequester& requester) {
  waiter.requester_ = &requester;
  load_of(hash, requester).waiters.push_back(waiter);
}

void ModuleCache::prefetch(const ContentHash& hash, ModuleRequester& requester) {
  if (!entries_.contains(hash)) load_of(hash, requester);
}

void ModuleCache::offer(protocol::ModuleOffer offer, process::UniqueFd file) {
  const ContentHash hash = offer.content_hash;
  auto work = [this, offer = std::move(offer), file = std::move(file), forgotten = forgotten_] {
    auto module = load_offered_module(engine_, offer, file, key_);
    Entry entry{.hash = offer.content_hash, .module = nullptr, .size = Bytes{offer.code_size}};
    asio::post(context_, [this, entry = std::move(entry), module = std::move(module), forgotten]() mutable {
      take(std::move(entry), module, forgotten);
      loaded_();
    });
  };
  if (!pool_.try_submit(std::move(work))) refuse(hash, fail(ErrorCode::kRunnerOverloaded).error());
}

void ModuleCache::refuse(const ContentHash& hash, Error error) { finish(hash, fail(std::move(error))); }

void ModuleCache::take(Entry entry, const Result<ModulePtr>& module, std::uint64_t forgotten) {
  const ContentHash hash = entry.hash;
  if (!module) {
    log::error("module_refused", module.error(), {{"content_hash", hash.to_string()}});
  } else if (forgotten == forgotten_) {
    entry.module = *module;
    keep(std::move(entry));
  }
  finish(hash, module);
}

void ModuleCache::forget_all() {
  ++forgotten_;
  entries_.clear();
  recent_.clear();
  size_ = Bytes{};
}

void ModuleCache::finish(const ContentHash& hash, const Result<ModulePtr>& module) {
  const auto found = loads_.find(hash);
  if (found == loads_.end()) return;
  const std::unique_ptr<Load> load = std::move(found->second);
  loads_.erase(found);
  deadlines_.clear(*load);
  while (!load->waiters.empty()) {
    ModuleWaiter& waiter = load->waiters.front();
    load->waiters.pop_front();
    waiter.on_module(module);
  }
}

void ModuleCache::keep(Entry entry) {
  if (const auto old = entries_.find(entry.hash); old != entries_.end()) {
    size_.value -= old->second->size.value;
    recent_.erase(old->second);
    entries_.erase(old);
  }
  size_.value += entry.size.value;
  recent_.push_front(std::move(entry));
  entries_.emplace(recent_.front().hash, recent_.begin());
  // The newest stays even when it alone is over the limit: somebody waits for it. Modules in use live on until their
  // last execution ends.
  while (recent_.size() > 1 && (recent_.size() > limits_.count || size_ > limits_.code)) {
    size_.value -= recent_.back().size.value;
    entries_.erase(recent_.back().hash);
    recent_.pop_back();
  }
}

void ModuleCache::requester_gone(ModuleRequester& requester) {
  std::vector<ContentHash> orphans;
  for (auto& [hash, load] : loads_) {
    if (load->requester == &requester) orphans.push_back(hash);
  }
  for (const ContentHash& hash : orphans) {
    Load& load = *loads_.at(hash);
    const auto other =
        std::ranges::find_if(load.waiters, [&](const ModuleWaiter& waiter) { return waiter.requester_ != &requester; });
    if (other == load.waiters.end()) {
      finish(hash, fail(ErrorCode::kRunnerUnavailable, "The runner's supervisor is gone."));
    } else {
      load.requester = other->requester_;
      load.requester->need_module(hash);
    }
  }
}

}  // namespace bulkhead::runner
