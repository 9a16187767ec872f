// ModuleCache: the loaded modules of this process by content hash, least recently used out first, and the calls that
// wait for one. However many calls wait, a module is asked for once; a load that takes too long fails all of them.
//
// Owner: Runner; one thread. Verifying and mapping happen on a pool thread. Must not be destroyed while its io_context
// still runs handlers.
#pragma once

#include <boost/intrusive/list.hpp>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/bytes.h"
#include "platform/async/thread_pool.h"
#include "platform/process/unique_fd.h"
#include "protocol/module_signature.h"
#include "runner/deadlines.h"
#include "sandbox/module.h"

namespace bulkhead::runner {

using ModulePtr = std::shared_ptr<const sandbox::Module>;

// Who can be asked for modules: a channel to the supervisor.
class ModuleRequester {
 public:
  // The answer comes through ModuleCache::offer or ModuleCache::refuse.
  virtual void need_module(const ContentHash& hash) = 0;

 protected:
  ~ModuleRequester() = default;
};

// Waits for one module at most; leaves the wait when it dies.
class ModuleWaiter
    : public boost::intrusive::list_base_hook<boost::intrusive::tag<struct ModuleTag>,
                                              boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // The wait is over. May destroy this waiter.
  virtual void on_module(const Result<ModulePtr>& module) = 0;

 protected:
  ~ModuleWaiter() = default;

 private:
  friend class ModuleCache;
  ModuleRequester* requester_ = nullptr;
};

struct ModuleCacheLimits {
  Bytes code = 512_MiB;  // machine code, as files
  std::size_t count = 256;
  Millis load_timeout{20'000};
};

class ModuleCache {
 public:
  // `loaded` is called after the waiters of an offered module have been told.
  ModuleCache(asio::io_context& context, Deadlines& deadlines, std::shared_ptr<sandbox::Engine> engine,
              const protocol::CodePublicKey& key, const ModuleCacheLimits& limits, const Clock& clock,
              std::function<void()> loaded);
  ~ModuleCache();

  // Null when it has to be waited for.
  ModulePtr find(const ContentHash& hash);
  void wait(const ContentHash& hash, ModuleWaiter& waiter, ModuleRequester& requester);
  // Asks for a module that nobody waits for yet (warm-up).
  void prefetch(const ContentHash& hash, ModuleRequester& requester);

  // The supervisor's answers. An offer that nobody asked for is kept too, if it is good.
  void offer(protocol::ModuleOffer offer, process::UniqueFd file);
  void refuse(const ContentHash& hash, Error error);
  // Nothing that is loaded counts any more (a signer was revoked); executions that run keep their module. A load that
  // is under way was answered before, so what it brings is used by its waiters and not kept.
  void forget_all();
  // What was asked for through it is asked for through another waiter's requester, or given up.
  void requester_gone(ModuleRequester& requester);

  std::size_t count() const { return entries_.size(); }
  Bytes code_size() const { return size_; }

 private:
  struct Entry {
    ContentHash hash;
    ModulePtr module;
    Bytes size;
  };
  struct Load;
  using Recent = std::list<Entry>;

  Load& load_of(const ContentHash& hash, ModuleRequester& requester);
  void take(Entry entry, const Result<ModulePtr>& module, std::uint64_t forgotten);
  void finish(const ContentHash& hash, const Result<ModulePtr>& module);
  void keep(Entry entry);

  asio::io_context& context_;
  Deadlines& deadlines_;
  std::shared_ptr<sandbox::Engine> engine_;
  protocol::CodePublicKey key_;
  ModuleCacheLimits limits_;
  const Clock& clock_;
  std::function<void()> loaded_;
  Recent recent_;  // front: used last
  std::unordered_map<ContentHash, Recent::iterator> entries_;
  std::unordered_map<ContentHash, std::unique_ptr<Load>> loads_;
  Bytes size_;
  std::uint64_t forgotten_ = 0;  // grows with forget_all
  ThreadPool pool_;              // last: its threads end before anything they use
};

}  // namespace bulkhead::runner
