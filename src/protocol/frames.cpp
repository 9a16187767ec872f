#include "protocol/frames.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "base/byte_codec.h"

namespace bulkhead::protocol {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are written in the machine's own byte order");

constexpr std::uint32_t kFixedPart = kFrameHeaderSize - 4;  // type and id count towards `length`

template <std::size_t N>
std::string_view raw_bytes(const std::array<std::uint8_t, N>& value) {
  return {reinterpret_cast<const char*>(value.data()), N};
}

// ByteWriter with the frame's header in front.
class Writer {
 public:
  Writer(std::string& out, FrameType type, std::uint64_t id) : out_(out), start_(out.size()), bytes_(out) {
    u32(0);  // the length, once it is known
    u8(static_cast<std::uint8_t>(type));
    u64(id);
  }
  ~Writer() {
    const std::size_t length = out_.size() - start_ - 4;
    BH_ASSERT(length <= kMaxFrame);
    const auto value = static_cast<std::uint32_t>(length);
    std::memcpy(out_.data() + start_, &value, 4);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void u8(std::uint8_t value) { bytes_.number(value); }
  void u32(std::uint32_t value) { bytes_.number(value); }
  void u64(std::uint64_t value) { bytes_.number(value); }
  void text(std::string_view value) { bytes_.text(value); }
  void rest(std::string_view value) { bytes_.raw(value); }
  template <std::size_t N>
  void bytes(const std::array<std::uint8_t, N>& value) {
    bytes_.raw(raw_bytes(value));
  }
  void pairs(const StringPairs& values) {
    u32(static_cast<std::uint32_t>(values.size()));
    for (const auto& [name, value] : values) {
      text(name);
      text(value);
    }
  }

 private:
  std::string& out_;
  std::size_t start_;
  ByteWriter bytes_;
};

// ByteReader with the types of frames, and values that it refuses.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return bytes_.number<std::uint8_t>(); }
  std::uint32_t u32() { return bytes_.number<std::uint32_t>(); }
  std::uint64_t u64() { return bytes_.number<std::uint64_t>(); }
  bool flag() {
    const std::uint8_t value = u8();
    if (value > 1) refuse();
    return value == 1;
  }
  std::string_view text() { return bytes_.text(); }
  template <std::size_t N>
  std::array<std::uint8_t, N> bytes() {
    std::array<std::uint8_t, N> value{};
    const std::string_view found = bytes_.raw(N);
    if (found.size() == N) std::memcpy(value.data(), found.data(), N);
    return value;
  }
  Uuid uuid() { return Uuid::from_bytes(bytes<16>()); }
  ContentHash hash() { return ContentHash::from_bytes(bytes<32>()); }
  // A count of items that take at least `least` bytes each: what memory it may claim is bounded by what was sent.
  std::uint32_t count(std::size_t least) {
    const std::uint32_t items = u32();
    if (items > bytes_.left() / least) refuse();
    return bad() ? 0 : items;
  }
  StringPairs pairs() {
    StringPairs values;
    const std::uint32_t items = count(8);
    values.reserve(items);
    for (std::uint32_t i = 0; i < items && !bad(); ++i) {
      const std::string_view name = text();
      const std::string_view value = text();
      values.emplace_back(name, value);
    }
    return values;
  }
  void refuse() { refused_ = true; }
  bool bad() const { return refused_ || !bytes_.ok(); }
  // Everything was there, and nothing is left.
  bool done() const { return !refused_ && bytes_.ok_and_done(); }

 private:
  ByteReader bytes_;
  bool refused_ = false;
};

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kBadRequest, "A " + std::string(what) + " frame is malformed.");
}

template <typename T>
Result<T> finish(const Reader& reader, T value, std::string_view what) {
  if (!reader.done()) return malformed(what);
  return value;
}

// Errors travel by the registry's identifiers: numbers differ between builds, wire codes are not unique.
void write_error(Writer& writer, const Error& error) {
  writer.text(error_info(error.code).identifier);
  writer.text(error.message);
  writer.text(error.detail);
  writer.u64(static_cast<std::uint64_t>(error.retry_after_ms));
}

const std::unordered_map<std::string_view, ErrorCode>& codes_by_identifier() {
  static const auto codes = [] {
    std::unordered_map<std::string_view, ErrorCode> found;
    const auto all = all_error_info();
    for (std::size_t i = 0; i < all.size(); ++i) found.emplace(all[i].identifier, static_cast<ErrorCode>(i));
    return found;
  }();
  return codes;
}

Error read_error(Reader& reader) {
  Error error;
  const auto code = codes_by_identifier().find(reader.text());
  error.code = code == codes_by_identifier().end() ? ErrorCode::kInternal : code->second;
  error.message = reader.text();
  error.detail = reader.text();
  error.retry_after_ms = static_cast<std::int64_t>(std::min<std::uint64_t>(reader.u64(), 86'400'000));
  return error;
}

void write_context(Writer& writer, const ExecuteContext& context) {
  writer.text(context.request_id);
  writer.bytes(context.tenant_id.uuid().bytes());
  writer.bytes(context.extension_id.uuid().bytes());
  writer.bytes(context.install_id.uuid().bytes());
  writer.bytes(context.content_hash.bytes());
  writer.bytes(context.version_id.uuid().bytes());
  writer.text(context.config_json);
  writer.text(context.user_json);
  writer.text(context.trace_parent);
}

ExecuteContext read_context(Reader& reader) {
  ExecuteContext context;
  context.request_id = reader.text();
  context.tenant_id = TenantId(reader.uuid());
  context.extension_id = ExtensionId(reader.uuid());
  context.install_id = InstallId(reader.uuid());
  context.content_hash = reader.hash();
  context.version_id = VersionId(reader.uuid());
  context.config_json = reader.text();
  context.user_json = reader.text();
  context.trace_parent = reader.text();
  return context;
}

void write_limits(Writer& writer, const Limits& limits) {
  writer.u32(static_cast<std::uint32_t>(limits.timeout.count()));
  writer.u64(limits.memory.value);
  writer.u64(limits.fuel);
  writer.u64(limits.response.value);
  writer.u64(limits.log.value);
  writer.u32(limits.host_calls);
  writer.u64(limits.egress.value);
  writer.u32(limits.tenant_concurrency);
  writer.u32(limits.tenant_queue);
}

Limits read_limits(Reader& reader) {
  Limits limits;
  limits.timeout = std::min(Millis(reader.u32()), kMaxTimeout);
  limits.memory = std::min(Bytes{reader.u64()}, kMaxMemory);
  limits.fuel = reader.u64();
  limits.response = Bytes{reader.u64()};
  limits.log = Bytes{reader.u64()};
  limits.host_calls = reader.u32();
  limits.egress = Bytes{reader.u64()};
  limits.tenant_concurrency = reader.u32();
  limits.tenant_queue = reader.u32();
  return limits;
}

void write_call(Writer& writer, const HttpCall& call) {
  writer.text(call.method);
  writer.text(call.path);
  writer.text(call.handler);
  writer.pairs(call.params);
  writer.pairs(call.query);
  writer.pairs(call.headers);
  writer.text(call.body);
}

void write_call(Writer& writer, const EventCall& call) {
  writer.text(call.topic);
  writer.text(call.id);
  writer.text(call.payload_json);
  writer.text(call.handler);
  writer.u32(call.attempt);
  writer.text(call.source);
}

void write_call(Writer& writer, const ScheduleCall& call) {
  writer.text(call.id);
  writer.text(call.handler);
  writer.text(call.payload_json);
  writer.text(call.scheduled_at);
}

void read_call(Reader& reader, ExecuteRequest& request) {
  switch (reader.u8()) {
    case 0: {
      auto& call = request.call.emplace<HttpCall>();
      call.method = reader.text();
      call.path = reader.text();
      call.handler = reader.text();
      call.params = reader.pairs();
      call.query = reader.pairs();
      call.headers = reader.pairs();
      call.body = reader.text();
      return;
    }
    case 1: {
      auto& call = request.call.emplace<EventCall>();
      call.topic = reader.text();
      call.id = reader.text();
      call.payload_json = reader.text();
      call.handler = reader.text();
      call.attempt = reader.u32();
      call.source = reader.text();
      return;
    }
    case 2: {
      auto& call = request.call.emplace<ScheduleCall>();
      call.id = reader.text();
      call.handler = reader.text();
      call.payload_json = reader.text();
      call.scheduled_at = reader.text();
      return;
    }
    default:
      reader.refuse();
  }
}

void write_usage(Writer& writer, const Usage& usage) {
  writer.u64(usage.cpu_us);
  writer.u64(usage.wall_us);
  writer.u64(usage.memory_bytes);
  writer.u8(usage.fuel ? 1 : 0);
  writer.u64(usage.fuel.value_or(0));
  writer.u64(usage.egress_bytes);
  writer.u32(usage.host_calls);
}

Usage read_usage(Reader& reader) {
  Usage usage;
  usage.cpu_us = reader.u64();
  usage.wall_us = reader.u64();
  usage.memory_bytes = reader.u64();
  const bool metered = reader.flag();
  const std::uint64_t fuel = reader.u64();
  if (metered) usage.fuel = fuel;
  usage.egress_bytes = reader.u64();
  usage.host_calls = reader.u32();
  return usage;
}

bool is_known(std::uint8_t type) { return (type >= 1 && type <= 8) || (type >= 65 && type <= 70); }

}  // namespace

void append_execute(std::string& out, std::uint64_t id, const ExecuteRequest& request) {
  Writer writer(out, FrameType::kExecute, id);
  writer.bytes(request.handle.bytes());
  write_context(writer, request.context);
  write_limits(writer, request.limits);
  writer.u8(static_cast<std::uint8_t>(request.call.index()));
  std::visit([&writer](const auto& call) { write_call(writer, call); }, request.call);
}

Result<ExecuteRequest> parse_execute(std::string_view payload) {
  Reader reader(payload);
  ExecuteRequest request;
  request.handle = ExecutionHandle::from_bytes(reader.bytes<16>());
  request.context = read_context(reader);
  request.limits = read_limits(reader);
  read_call(reader, request);
  return finish(reader, std::move(request), "execute");
}

void append_cancel(std::string& out, std::uint64_t id) { append_signal(out, FrameType::kCancel, id); }

void append_module(std::string& out, const ModuleOffer& offer) {
  Writer writer(out, FrameType::kModule, 0);
  writer.bytes(offer.content_hash.bytes());
  writer.bytes(offer.wasm_hash.bytes());
  writer.bytes(offer.code_hash.bytes());
  writer.text(offer.target);
  writer.text(offer.engine_fingerprint);
  writer.text(offer.signature);
  writer.u64(offer.code_size);
}

Result<ModuleOffer> parse_module(std::string_view payload) {
  Reader reader(payload);
  ModuleOffer offer;
  offer.content_hash = reader.hash();
  offer.wasm_hash = reader.hash();
  offer.code_hash = reader.hash();
  offer.target = reader.text();
  offer.engine_fingerprint = reader.text();
  offer.signature = reader.text();
  offer.code_size = reader.u64();
  return finish(reader, std::move(offer), "module");
}

void append_no_module(std::string& out, const ContentHash& hash, const Error& error) {
  Writer writer(out, FrameType::kNoModule, 0);
  writer.bytes(hash.bytes());
  write_error(writer, error);
}

Result<NoModule> parse_no_module(std::string_view payload) {
  Reader reader(payload);
  NoModule answer;
  answer.hash = reader.hash();
  answer.error = read_error(reader);
  return finish(reader, std::move(answer), "no-module");
}

void append_host_result(std::string& out, std::uint64_t id, const HostResult& result) {
  Writer writer(out, FrameType::kHostResult, id);
  writer.u32(static_cast<std::uint32_t>(result.code));
  writer.text(result.response_json);
}

Result<HostResult> parse_host_result(std::string_view payload) {
  Reader reader(payload);
  HostResult result;
  const auto code = static_cast<std::int32_t>(reader.u32());
  if (code > 0 || code < static_cast<std::int32_t>(HostCode::kQuota)) reader.refuse();
  result.code = static_cast<HostCode>(code);
  result.response_json = reader.text();
  return finish(reader, std::move(result), "host result");
}

void append_result(std::string& out, std::uint64_t id, const ExecuteResponse& response) {
  Writer writer(out, FrameType::kResult, id);
  writer.u32(static_cast<std::uint32_t>(response.status));
  writer.pairs(response.headers);
  writer.text(response.body);
  writer.u8(response.error ? 1 : 0);
  if (response.error) write_error(writer, *response.error);
  write_usage(writer, response.usage);
  writer.u32(static_cast<std::uint32_t>(response.logs.size()));
  for (const LogLine& line : response.logs) {
    writer.u8(static_cast<std::uint8_t>(line.level));
    writer.u64(static_cast<std::uint64_t>(line.at.value));
    writer.text(line.text);
  }
  writer.u8(response.logs_truncated ? 1 : 0);
}

Result<ExecuteResponse> parse_result(std::string_view payload) {
  Reader reader(payload);
  ExecuteResponse response;
  const std::uint32_t status = reader.u32();
  if (status < 100 || status > 599) reader.refuse();
  response.status = static_cast<int>(status);
  response.headers = reader.pairs();
  response.body = reader.text();
  if (reader.flag()) response.error = read_error(reader);
  response.usage = read_usage(reader);
  const std::uint32_t lines = reader.count(13);
  response.logs.reserve(lines);
  for (std::uint32_t i = 0; i < lines && !reader.bad(); ++i) {
    LogLine line;
    const std::uint8_t level = reader.u8();
    if (level > static_cast<std::uint8_t>(LogLine::Level::kError)) reader.refuse();
    line.level = static_cast<LogLine::Level>(level);
    line.at = UtcMicros{static_cast<std::int64_t>(reader.u64())};
    line.text = reader.text();
    response.logs.push_back(std::move(line));
  }
  response.logs_truncated = reader.flag();
  return finish(reader, std::move(response), "result");
}

void append_need_module(std::string& out, const ContentHash& hash) {
  Writer writer(out, FrameType::kNeedModule, 0);
  writer.bytes(hash.bytes());
}

Result<ContentHash> parse_need_module(std::string_view payload) {
  Reader reader(payload);
  const ContentHash hash = reader.hash();
  return finish(reader, hash, "need-module");
}

void append_host_call(std::string& out, std::uint64_t id, const HostCall& call) {
  Writer writer(out, FrameType::kHostCall, id);
  writer.bytes(call.handle.bytes());
  writer.text(call.name);
  writer.text(call.request_json);
}

Result<HostCall> parse_host_call(std::string_view payload) {
  Reader reader(payload);
  HostCall call;
  call.handle = ExecutionHandle::from_bytes(reader.bytes<16>());
  call.name = reader.text();
  call.request_json = reader.text();
  if (call.name.size() > 64) reader.refuse();
  return finish(reader, std::move(call), "host call");
}

void append_open(std::string& out, std::uint64_t id, const ExecuteContext& context) {
  Writer writer(out, FrameType::kOpen, id);
  write_context(writer, context);
}

Result<ExecuteContext> parse_open(std::string_view payload) {
  Reader reader(payload);
  ExecuteContext context = read_context(reader);
  return finish(reader, std::move(context), "open");
}

void append_signal(std::string& out, FrameType type, std::uint64_t id, std::string_view payload) {
  Writer writer(out, type, id);
  writer.rest(payload);  // no length of its own
}

Result<std::optional<FrameHeader>> peek_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderSize) return std::optional<FrameHeader>();
  FrameHeader header;
  std::memcpy(&header.length, bytes.data(), 4);
  const auto type = static_cast<std::uint8_t>(bytes[4]);
  std::memcpy(&header.id, bytes.data() + 5, 8);
  if (header.length < kFixedPart || header.length > kMaxFrame) {
    return fail(ErrorCode::kBadRequest, "A frame says it has " + std::to_string(header.length) + " bytes.");
  }
  if (!is_known(type)) return fail(ErrorCode::kBadRequest, "Unknown frame type " + std::to_string(type) + ".");
  header.type = static_cast<FrameType>(type);
  return std::optional(header);
}

}  // namespace bulkhead::protocol
