// The extensions room's ModuleCompiler port: compiles at publish and keeps the signed code where the first call finds
// it.
#pragma once

#include "features/extensions/module_compiler.h"
#include "features/runners/module_provider.h"

namespace bulkhead::runners {

class PublishingCompiler final : public extensions::ModuleCompiler {
 public:
  // `modules` outlives this.
  explicit PublishingCompiler(ModuleProvider& modules) : modules_(modules) {}
  Task<Result<extensions::CompiledInfo>> compile(ContentHash content_hash, std::string wasm) override;

 private:
  ModuleProvider& modules_;
};

}  // namespace bulkhead::runners
