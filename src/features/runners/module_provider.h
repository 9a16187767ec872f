// ModuleProvider: hands a runner the machine code of a bundle: verified bundle → our own signed code, cached in the
// blob store → sealed memfd. Compiles when the cache has nothing, or nothing that we signed for this engine.
//
// Shared by all cores; the recently handed-over memfds are kept in a small LRU behind a mutex (held for map operations
// only), so that several runners and a restarted one need no second copy.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "features/runners/bundle_source.h"
#include "features/runners/code_file.h"
#include "features/runners/code_signer.h"
#include "features/runners/compiler_process.h"
#include "platform/blob/store.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::runners {

struct ModuleHandover {
  protocol::ModuleOffer offer;
  std::shared_ptr<const process::UniqueFd> code;  // sealed memfd
};

struct ModuleProviderOptions {
  Bytes kept = 64_MiB;         // of memfds
  Bytes code_limit = 512_MiB;  // of one module's code
};

class ModuleProvider {
 public:
  ModuleProvider(BundleSource& bundles, blob::Store& blobs, const CodeSigner& signer, CompilerProcess& compiler,
                 ThreadPool& pool, EngineIdentity engine, ModuleProviderOptions options, metrics::Registry& registry);

  // Errors are the bundle's (BundleSource) or the compiler's, as kModuleInvalid / kAbiMissingExport for the gateway.
  Task<Result<ModuleHandover>> provide(ContentHash content_hash);
  // At publish: validates, compiles and stores the code, so that the first call finds it. Errors as CompilerProcess.
  Task<Status> compile_and_store(ContentHash content_hash, std::string wasm);
  // After a change of trust: nothing that was verified before counts. Calls of `provide` under way verify once more.
  void evict_all();

  const EngineIdentity& engine() const { return engine_; }

 private:
  struct CompiledFile {
    std::string bytes;
    Status stored;  // whether the blob store keeps it
  };
  Task<Result<CompiledFile>> compile_to_file(ContentHash content_hash, std::string wasm);
  Result<ModuleHandover> hand_over(std::string_view file, const ContentHash& content_hash);
  // Nothing where the cache has no code that we signed for this bundle and engine.
  Task<Result<std::optional<ModuleHandover>>> read_cached(ContentHash content_hash);
  Task<> drop_cached(ContentHash content_hash, Error why);
  std::optional<ModuleHandover> kept(const ContentHash& content_hash);
  // The bundle is verified while its code is fetched and checked: neither counts without the other.
  Task<Result<ModuleHandover>> verify_and_provide(ContentHash content_hash);
  // False when trust changed since `evictions` was read: then it must be verified again.
  bool keep(const ModuleHandover& handover, std::uint64_t evictions);
  std::uint64_t evictions();

  BundleSource& bundles_;
  blob::Store& blobs_;
  const CodeSigner& signer_;
  CompilerProcess& compiler_;
  ThreadPool& pool_;
  EngineIdentity engine_;
  ModuleProviderOptions options_;
  metrics::Counter& hits_;
  metrics::Counter& misses_;
  metrics::Counter& rejected_;

  std::mutex mutex_;  // guards what follows
  std::list<ModuleHandover> recent_;
  std::unordered_map<ContentHash, std::list<ModuleHandover>::iterator> by_hash_;
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace bulkhead::runners
