// The binary channel between `serve` (or a standalone runner's supervisor) and a runner process: one Unix stream socket
// pair per serve core, multiplexed by call id. Every frame: u32 length (of what follows), u8 type, u64 id, payload; all
// little endian; strings are u32 length + bytes. At most kMaxFrame bytes. Either side treats a malformed frame as the
// end of the connection: the supervisor then kills and replaces the runner.
//
//   supervisor → runner                         runner → supervisor
//   kExecute      id = call, ExecuteRequest     kResult      id = call, ExecuteResponse
//   kCancel       id = call                     kNeedModule  id = 0, content hash (answered by kModule or kNoModule)
//   kModule       hash, code signature, + fd    kHostCall    id = host call, handle, name, request JSON
//                 (a sealed memfd, SCM_RIGHTS)  kOpen        id = host call, context of an execution without a handle
//   kNoModule     hash, error                   kPong, kStats
//   kHostResult   id = host call, code, JSON
//   kPing, kDrain
//   kForget       drop loaded modules: their signers may have been revoked; they are asked for again
// What a runner says is believed for nothing but the executions whose handles it names (architecture.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/execute.h"

namespace bulkhead::protocol {

inline constexpr std::size_t kMaxFrame = 32 * 1024 * 1024;

enum class FrameType : std::uint8_t {
  kExecute = 1,
  kCancel = 2,
  kModule = 3,
  kNoModule = 4,
  kHostResult = 5,
  kPing = 6,
  kDrain = 7,
  kForget = 8,
  kResult = 65,
  kNeedModule = 66,
  kHostCall = 67,
  kOpen = 68,
  kPong = 69,
  kStats = 70,
};

struct FrameHeader {
  std::uint32_t length = 0;  // bytes after this field
  FrameType type{};
  std::uint64_t id = 0;
};
inline constexpr std::size_t kFrameHeaderSize = 13;  // on the wire: u32 + u8 + u64

// Host call result codes of ABI v1 (extensions.md §3).
enum class HostCode : std::int32_t {
  kOk = 0,
  kDenied = -1,
  kInvalid = -2,
  kNotFound = -3,
  kConflict = -4,
  kTooLarge = -5,
  kTimeout = -6,
  kInternal = -7,
  kQuota = -8,
};

struct HostCall {
  ExecutionHandle handle;
  std::string name;          // dotted form: "storage.get"
  std::string request_json;  // as the guest wrote it; not yet checked
};
struct HostResult {
  HostCode code = HostCode::kOk;
  std::string response_json;
  bool is_secret = false;  // not on the wire: who sends it wipes it afterwards
};

// Authenticates machine code: made and checked as in features/runners; the runner holds only the public key.
// signature = Ed25519 over "bulkhead-cwasm-v1" ‖ content hash ‖ wasm hash ‖ target ‖ engine fingerprint ‖ code hash.
struct ModuleOffer {
  ContentHash content_hash;
  ContentHash wasm_hash;
  ContentHash code_hash;
  std::string target;              // "x86_64-linux-gnu"
  std::string engine_fingerprint;  // Wasmtime version + settings
  std::string signature;           // 64 bytes
  std::uint64_t code_size = 0;
};

// Each appends a whole frame (header included) to `out`.
void append_execute(std::string& out, std::uint64_t id, const ExecuteRequest& request);
void append_cancel(std::string& out, std::uint64_t id);
void append_module(std::string& out, const ModuleOffer& offer);
void append_no_module(std::string& out, const ContentHash& hash, const Error& error);
void append_host_result(std::string& out, std::uint64_t id, const HostResult& result);
void append_result(std::string& out, std::uint64_t id, const ExecuteResponse& response);
void append_need_module(std::string& out, const ContentHash& hash);
void append_host_call(std::string& out, std::uint64_t id, const HostCall& call);
void append_open(std::string& out, std::uint64_t id, const ExecuteContext& context);
void append_signal(std::string& out, FrameType type, std::uint64_t id, std::string_view payload = {});

// nullopt: fewer than kFrameHeaderSize bytes. kBadRequest: length out of bounds or unknown type.
Result<std::optional<FrameHeader>> peek_frame(std::string_view bytes);
// `payload` = the frame's bytes after the header. kBadRequest when it is malformed; never reads outside it.
Result<ExecuteRequest> parse_execute(std::string_view payload);
Result<ModuleOffer> parse_module(std::string_view payload);
struct NoModule {
  ContentHash hash;
  Error error;
};
Result<NoModule> parse_no_module(std::string_view payload);
Result<HostResult> parse_host_result(std::string_view payload);
Result<ExecuteResponse> parse_result(std::string_view payload);
Result<ContentHash> parse_need_module(std::string_view payload);
Result<HostCall> parse_host_call(std::string_view payload);
Result<ExecuteContext> parse_open(std::string_view payload);

}  // namespace bulkhead::protocol
