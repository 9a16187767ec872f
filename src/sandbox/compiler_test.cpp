#include "sandbox/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/host_calls.h"
#include "sandbox/test_guests.h"

namespace bulkhead::sandbox {
namespace {

using testing::guest;
using ::testing::HasSubstr;
using testing::wasm_of;

struct Refusal {
  const char* name;
  std::string text;
  ErrorCode code;
  const char* message;
};

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesTheReason) {
  const Status status = validate_module(wasm_of(GetParam().text));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().wire_code(), error_info(GetParam().code).wire_code) << status.error().message;
  EXPECT_THAT(status.error().message, HasSubstr(GetParam().message));
}

const char* const kMemory = "(memory (export \"memory\") 1)";
const char* const kAlloc = "(func (export \"alloc\") (param i32) (result i32) (i32.const 8))";
const char* const kHandler = "(func (export \"handler\") (param i32 i32 i32) (result i32) (i32.const 0))";

std::string module(std::initializer_list<std::string> fields) {
  std::string text = "(module ";
  for (const auto& field : fields) text += field;
  return text + ")";
}
std::string importing(const char* import) { return module({import, kMemory, kAlloc, kHandler}); }

INSTANTIATE_TEST_SUITE_P(
    , RefusalTest,
    ::testing::Values(
        Refusal{"NoMemory", module({kAlloc, kHandler}), ErrorCode::kAbiMissingExport, "does not export memory"},
        Refusal{"NoAlloc", module({kMemory, kHandler}), ErrorCode::kAbiMissingExport, "does not export alloc"},
        Refusal{"NoHandler", module({kMemory, kAlloc}), ErrorCode::kAbiMissingExport, "does not export handler"},
        Refusal{"Nothing", "(module)", ErrorCode::kAbiMissingExport, "memory, alloc, handler"},
        Refusal{"Command", module({kMemory, kAlloc, "(func (export \"_start\"))"}), ErrorCode::kAbiMissingExport,
                "build a library"},
        Refusal{"WrongAlloc",
                module({kMemory, "(func (export \"alloc\") (param i64) (result i32) (i32.const 8))", kHandler}),
                ErrorCode::kModuleRejected, "\"alloc\" has the type (i64) -> i32; it must be (i32) -> i32"},
        Refusal{"WrongHandler", module({kMemory, kAlloc, "(func (export \"handler\") (param i32 i32 i32))"}),
                ErrorCode::kModuleRejected, "it must be (i32, i32, i32) -> i32"},
        Refusal{"WrongDealloc", module({kMemory, kAlloc, kHandler, "(func (export \"dealloc\") (param i32))"}),
                ErrorCode::kModuleRejected, "\"dealloc\" has the type (i32); it must be (i32, i32)"},
        Refusal{"WrongInitialize", module({kMemory, kAlloc, kHandler, "(func (export \"_initialize\") (param i32))"}),
                ErrorCode::kModuleRejected, "_initialize"},
        Refusal{"HandlerIsAGlobal", module({kMemory, kAlloc, "(global (export \"handler\") i32 (i32.const 0))"}),
                ErrorCode::kModuleRejected, "\"handler\" is not a function"},
        Refusal{"MemoryIsAFunction", module({kAlloc, kHandler, "(func (export \"memory\"))"}),
                ErrorCode::kModuleRejected, "\"memory\" is not a memory"},
        Refusal{"UnknownImport",
                importing("(import \"alga\" \"storage.drop\" (func (param i32 i32 i32) (result i32)))"),
                ErrorCode::kModuleRejected, "\"alga\".\"storage.drop\""},
        Refusal{"UnknownModule", importing("(import \"dbus\" \"call\" (func))"), ErrorCode::kModuleRejected,
                "\"dbus\".\"call\""},
        Refusal{"HalfUnderscored",
                importing("(import \"alga\" \"storage.bulk.put\" (func (param i32 i32 i32) (result i32)))"),
                ErrorCode::kModuleRejected, "does not exist"},
        Refusal{"ControlCharacters", importing("(import \"alga\" \"a\\0a\\1b[2J\" (func))"), ErrorCode::kModuleRejected,
                "\"a??[2J\""},
        Refusal{"WrongImportType", importing("(import \"alga\" \"storage.get\" (func (param i32 i32)))"),
                ErrorCode::kModuleRejected, "storage.get has the type (i32, i32); it must be (i32, i32, i32) -> i32"},
        Refusal{"WrongLogType", importing("(import \"alga\" \"log_info\" (func (param i32 i32) (result i32)))"),
                ErrorCode::kModuleRejected, "log_info"},
        Refusal{"ImportedMemory",
                module({"(import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0))", kAlloc, kHandler}),
                ErrorCode::kModuleRejected, "\"env\".\"memory\""},
        Refusal{"ImportIsAGlobal", importing("(import \"alga\" \"log_info\" (global i32))"), ErrorCode::kModuleRejected,
                "must be a function"},
        Refusal{"WasiPreview1",
                importing("(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) "
                          "(result i32)))"),
                ErrorCode::kModuleRejected, "ABI v1 has no WASI: build for wasm32-unknown-unknown"},
        Refusal{"SharedMemory", module({"(memory (export \"memory\") 1 2 shared)", kAlloc, kHandler}),
                ErrorCode::kModuleRejected, "threads"},
        Refusal{"Memory64", module({"(memory (export \"memory\") i64 1)", kAlloc, kHandler}),
                ErrorCode::kModuleRejected, "memory64"},
        Refusal{"TwoMemories", module({kMemory, "(memory 1)", kAlloc, kHandler}), ErrorCode::kModuleRejected,
                "memories"},
        Refusal{"HugeMemory", module({"(memory (export \"memory\") 16385)", kAlloc, kHandler}),
                ErrorCode::kModuleRejected, "1024 MiB"},
        Refusal{"HugeTable", module({kMemory, "(table 50001 funcref)", kAlloc, kHandler}), ErrorCode::kModuleRejected,
                "50001 elements"},
        Refusal{"TwoTables", module({kMemory, "(table 1 funcref) (table 1 funcref)", kAlloc, kHandler}),
                ErrorCode::kModuleRejected, "more than one table"},
        Refusal{"IllTyped", module({kMemory, kAlloc, "(func (export \"handler\") (param i32 i32 i32) (result i32))"}),
                ErrorCode::kModuleRejected, "type mismatch"},
        Refusal{"Component", "(component)", ErrorCode::kModuleRejected, "core module"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ValidateModule, RefusesBytesThatAreNoModule) {
  for (const std::string_view bytes : {std::string_view(), std::string_view("\0asm", 4), std::string_view("MZ")}) {
    EXPECT_EQ(validate_module(bytes).error().code, ErrorCode::kModuleRejected);
  }
  EXPECT_EQ(validate_module(std::string(kMaxModuleSize + 1, '\0')).error().code, ErrorCode::kModuleRejected);
}

TEST(ValidateModule, RefusesWebAssemblyText) {
  const std::string text = guest(testing::kEcho);
  EXPECT_EQ(validate_module(text).error().code, ErrorCode::kModuleRejected);
}

TEST(ValidateModule, AcceptsEveryHostFunctionInBothSpellings) {
  for (const std::string_view dotted : kHostFunctions) {
    std::string underscored(dotted);
    std::ranges::replace(underscored, '.', '_');
    for (const std::string& name : {std::string(dotted), underscored}) {
      const auto text =
          importing(("(import \"alga\" \"" + name + "\" (func (param i32 i32 i32) (result i32)))").c_str());
      EXPECT_TRUE(validate_module(wasm_of(text))) << name;
    }
  }
  for (const char* name : {"log.info", "log_info", "log.warn", "log_warn", "log.error", "log_error"}) {
    EXPECT_TRUE(validate_module(
        wasm_of(importing(("(import \"alga\" \"" + std::string(name) + "\" (func (param i32 i32)))").c_str()))))
        << name;
  }
  EXPECT_TRUE(validate_module(wasm_of(importing("(import \"env\" \"abort\" (func (param i32 i32 i32 i32)))"))));
}

TEST(ValidateModule, NativeCodeNumbersHostFunctionsAsWeDo) {
  for (std::uint32_t index = 0; index < kHostFunctions.size(); ++index) {
    EXPECT_EQ(bh_host_function_name(index), kHostFunctions.at(index));
  }
  EXPECT_STREQ(bh_host_function_name(kHostFunctions.size()), "");
}

class LoadTest : public ::testing::Test {
 protected:
  const SystemClock clock_;
  const std::shared_ptr<Engine> engine_ = Engine::create({.slots = 2}, clock_).value();
  const std::unique_ptr<Compiler> compiler_ = Compiler::create(Metering::kNone).value();
};

TEST_F(LoadTest, CompilerAndEngineOfOneHostHaveTheSameFingerprint) {
  EXPECT_EQ(compiler_->fingerprint(), engine_->fingerprint());
  EXPECT_EQ(Engine::create({.slots = 7, .max_memory = 64_MiB}, clock_).value()->fingerprint(), engine_->fingerprint());
  EXPECT_NE(Compiler::create(Metering::kFuel).value()->fingerprint(), engine_->fingerprint());
}

TEST_F(LoadTest, LoadsCompiledCode) {
  EXPECT_TRUE(testing::load_code(engine_, compiler_->compile(wasm_of(guest(testing::kEcho))).value()));
}

TEST_F(LoadTest, RefusesCodeForOtherSettings) {
  const auto metered = Compiler::create(Metering::kFuel).value()->compile(wasm_of(guest(testing::kEcho)));
  const auto loaded = testing::load_code(engine_, *metered);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kModuleInvalid);
  EXPECT_THAT(loaded.error().detail, HasSubstr("fuel"));
}

TEST_F(LoadTest, RefusesFilesThatAreNoCode) {
  EXPECT_EQ(testing::load_code(engine_, wasm_of(guest(testing::kEcho))).error().code, ErrorCode::kModuleInvalid);
  EXPECT_EQ(testing::load_code(engine_, "").error().code, ErrorCode::kModuleInvalid);
  EXPECT_EQ(Module::load(engine_, -1).error().code, ErrorCode::kModuleInvalid);
}

TEST_F(LoadTest, CompileChecksTheAbi) {
  EXPECT_EQ(compiler_->compile(wasm_of("(module)")).error().code, ErrorCode::kAbiMissingExport);
}

TEST(Engine, SaysWhatToChangeWhenItDoesNotFit) {
  const SystemClock clock;
  const auto engine = Engine::create({.slots = 1'000'000}, clock);
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, HasSubstr("slots"));
}

}  // namespace
}  // namespace bulkhead::sandbox
