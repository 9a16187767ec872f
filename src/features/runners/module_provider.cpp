#include "features/runners/module_provider.h"

#include "platform/async/both.h"
#include "platform/observe/log.h"
#include "platform/process/memfd.h"

namespace bulkhead::runners {
namespace {

constexpr int kMaxAttempts = 3;

}  // namespace

ModuleProvider::ModuleProvider(BundleSource& bundles, blob::Store& blobs, const CodeSigner& signer,
                               CompilerProcess& compiler, ThreadPool& pool, EngineIdentity engine,
                               ModuleProviderOptions options, metrics::Registry& registry)
    : bundles_(bundles),
      blobs_(blobs),
      signer_(signer),
      compiler_(compiler),
      pool_(pool),
      engine_(std::move(engine)),
      options_(options),
      hits_(registry.counter("module_cache_hits_total", "Modules handed over from cached code.")),
      misses_(registry.counter("module_cache_misses_total", "Modules that had to be compiled before a call.")),
      rejected_(registry.counter("module_cache_rejected_total", "Cached code refused: changed or not ours.")) {}

Task<Result<ModuleHandover>> ModuleProvider::provide(ContentHash content_hash) {
  if (auto handover = kept(content_hash)) {
    hits_.add();
    co_return std::move(*handover);
  }
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const std::uint64_t before = evictions();
    auto handover = co_await verify_and_provide(content_hash);
    if (!handover || keep(*handover, before)) co_return handover;
  }
  co_return fail(ErrorCode::kBundleFetchFailed, "The trusted keys keep changing; retry.");
}

Task<Result<ModuleHandover>> ModuleProvider::verify_and_provide(ContentHash content_hash) {
  auto [guest, cached] = co_await both(bundles_.open(content_hash), read_cached(content_hash));
  if (!guest) co_return fail(std::move(guest.error()));
  if (!cached) co_return fail(std::move(cached.error()));
  if (*cached && (*cached)->offer.wasm_hash != guest->wasm_hash) {
    co_await drop_cached(content_hash, fail(ErrorCode::kModuleInvalid, "", "code of another module").error());
    cached->reset();
  }
  if (*cached) {
    hits_.add();
    co_return std::move(**cached);
  }
  misses_.add();
  auto compiled = co_await compile_to_file(content_hash, std::move(guest->wasm));
  if (!compiled) {
    const bool missing_export = compiled.error().code == ErrorCode::kAbiMissingExport;
    const bool rejected = compiled.error().code == ErrorCode::kModuleRejected;
    co_return rejected || missing_export
        ? fail(missing_export ? ErrorCode::kAbiMissingExport : ErrorCode::kModuleInvalid, compiled.error().message,
               compiled.error().detail)
        : fail(std::move(compiled.error()));
  }
  co_return co_await pool_.run([&] { return hand_over(compiled->bytes, content_hash); });
}

Task<Result<std::optional<ModuleHandover>>> ModuleProvider::read_cached(ContentHash content_hash) {
  const std::string key = code_blob_key(content_hash, engine_.target, engine_.engine_fingerprint);
  auto file = co_await blobs_.get(key, options_.code_limit);
  if (!file && file.error().code == ErrorCode::kNotFound) co_return std::nullopt;
  if (!file) co_return fail_because(ErrorCode::kBundleFetchFailed, "", std::move(file.error()));
  auto handover = co_await pool_.run([&] { return hand_over(*file, content_hash); });
  if (handover) co_return std::move(*handover);
  co_await drop_cached(content_hash, std::move(handover.error()));
  co_return std::nullopt;
}

Task<> ModuleProvider::drop_cached(ContentHash content_hash, Error why) {
  rejected_.add();
  log::warn("code_cache_entry_rejected", why, {{"content_hash", content_hash.to_string()}});
  // It is replaced by what is compiled next; a failure shows when that is written.
  const std::string key = code_blob_key(content_hash, engine_.target, engine_.engine_fingerprint);
  static_cast<void>(co_await blobs_.remove(key));
}

Task<Status> ModuleProvider::compile_and_store(ContentHash content_hash, std::string wasm) {
  auto compiled = co_await compile_to_file(content_hash, std::move(wasm));
  if (!compiled) co_return fail(std::move(compiled.error()));
  // A store that is away or full will not take the bundle either: say so now instead of waiting for it again.
  if (!compiled->stored && compiled->stored.error().http_status() == 503) co_return compiled->stored;
  co_return Status();
}

Task<Result<ModuleProvider::CompiledFile>> ModuleProvider::compile_to_file(ContentHash content_hash, std::string wasm) {
  BH_CO_TRY(const ContentHash wasm_hash,
            co_await pool_.run([&]() -> Result<ContentHash> { return ContentHash::of(wasm); }));
  BH_CO_TRY(CompiledCode compiled, co_await compiler_.compile(std::move(wasm)));
  protocol::ModuleOffer offer;
  offer.content_hash = content_hash;
  offer.wasm_hash = wasm_hash;
  offer.target = compiled.target;
  offer.engine_fingerprint = compiled.engine_fingerprint;
  offer.code_size = compiled.code.size();
  auto file = co_await pool_.run([&]() -> Result<std::string> {
    offer.code_hash = ContentHash::of(compiled.code);
    signer_.sign(offer);
    return encode_code_file(offer, compiled.code);
  });
  if (!file) co_return fail(std::move(file.error()));
  const std::string key = code_blob_key(content_hash, offer.target, offer.engine_fingerprint);
  // The cache is an optimisation: a call that has its code goes on although the store can't keep it.
  auto stored = co_await blobs_.put(key, *file);
  if (!stored) {
    log::warn("code_cache_write_failed", stored.error(), {{"content_hash", content_hash.to_string()}});
  }
  co_return CompiledFile{std::move(*file), std::move(stored)};
}

Result<ModuleHandover> ModuleProvider::hand_over(std::string_view file, const ContentHash& content_hash) {
  const CodeIdentity identity{content_hash, engine_.target, engine_.engine_fingerprint};
  BH_TRY(const CodeFile decoded, decode_code_file(file, identity, signer_.public_key()));
  BH_TRY(process::UniqueFd memfd, process::make_sealed_memfd("bulkhead-code", decoded.code));
  return ModuleHandover{decoded.offer, std::make_shared<const process::UniqueFd>(std::move(memfd))};
}

std::optional<ModuleHandover> ModuleProvider::kept(const ContentHash& content_hash) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_hash_.find(content_hash);
  if (found == by_hash_.end()) return std::nullopt;
  recent_.splice(recent_.begin(), recent_, found->second);
  return recent_.front();
}

std::uint64_t ModuleProvider::evictions() {
  const std::scoped_lock lock(mutex_);
  return evictions_;
}

bool ModuleProvider::keep(const ModuleHandover& handover, std::uint64_t evictions) {
  const std::scoped_lock lock(mutex_);
  if (evictions != evictions_) return false;
  if (by_hash_.contains(handover.offer.content_hash)) return true;
  recent_.push_front(handover);
  by_hash_[handover.offer.content_hash] = recent_.begin();
  kept_bytes_ += handover.offer.code_size;
  while (kept_bytes_ > options_.kept.value && recent_.size() > 1) {
    kept_bytes_ -= recent_.back().offer.code_size;
    by_hash_.erase(recent_.back().offer.content_hash);
    recent_.pop_back();
  }
  return true;
}

void ModuleProvider::evict_all() {
  const std::scoped_lock lock(mutex_);
  ++evictions_;
  recent_.clear();
  by_hash_.clear();
  kept_bytes_ = 0;
}

}  // namespace bulkhead::runners
