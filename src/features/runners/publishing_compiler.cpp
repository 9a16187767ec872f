#include "features/runners/publishing_compiler.h"

namespace bulkhead::runners {

Task<Result<extensions::CompiledInfo>> PublishingCompiler::compile(ContentHash content_hash, std::string wasm) {
  BH_CO_TRY_VOID(co_await modules_.compile_and_store(content_hash, std::move(wasm)));
  co_return extensions::CompiledInfo{modules_.engine().target, modules_.engine().engine_fingerprint};
}

}  // namespace bulkhead::runners
