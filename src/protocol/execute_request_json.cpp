// Reads /v1/execute's request (execute_json.h).
#include <algorithm>
#include <array>
#include <span>

#include "base/json.h"
#include "protocol/execute_json.h"
#include "protocol/json_text.h"

namespace bulkhead::protocol {
namespace {

constexpr std::size_t kMaxPairs = 1'024;  // members of one map
constexpr std::size_t kMaxProblems = 16;

// Where a value stands; becomes an RFC 6901 pointer only when there is a problem with it.
struct Place {
  std::string_view parent;  // "/http"
  std::string_view name;
  std::string pointer() const { return std::string(parent) + '/' + escape_pointer(name); }
};

// Reads a request, collecting problems of form; syntax errors are left to the cursor.
class RequestReader {
 public:
  explicit RequestReader(std::string_view text) : cursor_(text) {}
  Result<ExecuteRequest> read();

 private:
  void read_members(ExecuteRequest& request);
  void read_context(ExecuteContext& context);
  void read_http(HttpCall& call);
  void read_event(EventCall& call);
  void read_schedule(ScheduleCall& call);
  void read_limits(Limits& limits);
  void read_query_all(StringPairs& query);

  void problem(std::string pointer, std::string message) {
    if (problems_.size() < kMaxProblems) problems_.push_back({std::move(pointer), std::move(message)});
  }
  // Goes to the next member that is in `known` and returns its index, -1 at the end of the object. Others are skipped.
  // A member that stands twice is refused: two readers would disagree on which one counts.
  int next_known(std::string_view parent, std::span<const std::string_view> known, unsigned& seen);
  // Notes those of the first `count` known members that are missing.
  void require(std::string_view parent, std::span<const std::string_view> known, std::size_t count, unsigned seen);

  // Each skips a value of another type and notes the problem.
  bool open_object(const std::string& pointer);
  void text(std::string& into, Place place);
  template <typename IdType>
  void id(IdType& into, Place place);
  void object_text(std::string& into, Place place);
  bool positive(std::uint64_t& into, Place place);
  void pairs(StringPairs& into, Place place);
  void body(std::string& into, Place place);

  JsonCursor cursor_;
  std::string name_;
  std::vector<FieldError> problems_;
};

int RequestReader::next_known(std::string_view parent, std::span<const std::string_view> known, unsigned& seen) {
  while (cursor_.next_member(name_)) {
    const auto found = std::ranges::find(known, std::string_view(name_));
    if (found == known.end()) {
      cursor_.skip();
      continue;
    }
    const auto index = static_cast<unsigned>(found - known.begin());
    if ((seen & (1U << index)) != 0) problem(Place{parent, name_}.pointer(), "stands twice");
    seen |= 1U << index;
    return static_cast<int>(index);
  }
  return -1;
}

void RequestReader::require(std::string_view parent, std::span<const std::string_view> known, std::size_t count,
                            unsigned seen) {
  if (cursor_.failed()) return;
  for (std::size_t i = 0; i < count; ++i) {
    if ((seen & (1U << i)) == 0) problem(Place{parent, known[i]}.pointer(), "is required");
  }
}

bool RequestReader::open_object(const std::string& pointer) {
  if (cursor_.open_object()) return true;
  problem(pointer, "must be an object");
  cursor_.skip();
  return false;
}

void RequestReader::text(std::string& into, Place place) {
  if (const auto value = cursor_.read_string()) {
    into.assign(*value);
    return;
  }
  problem(place.pointer(), "must be a string");
  cursor_.skip();
}

template <typename IdType>
void RequestReader::id(IdType& into, Place place) {
  const auto value = cursor_.read_string();
  if (!value) {
    problem(place.pointer(), "must be a string");
    cursor_.skip();
    return;
  }
  if (const auto parsed = IdType::parse(*value)) {
    into = *parsed;
  } else {
    problem(place.pointer(), std::is_same_v<IdType, ContentHash> ? "must be sha256:<64 hex digits>" : "must be a UUID");
  }
}

// An object that passes through as it stands; null is as good as absent.
void RequestReader::object_text(std::string& into, Place place) {
  const auto kind = cursor_.peek();
  const std::string_view raw = cursor_.skip();
  if (kind == JsonCursor::Kind::kObject) {
    into.assign(raw);
  } else if (kind != JsonCursor::Kind::kNull) {
    problem(place.pointer(), "must be an object");
  }
}

bool RequestReader::positive(std::uint64_t& into, Place place) {
  if (cursor_.peek() == JsonCursor::Kind::kNull) {
    cursor_.skip();
    return false;
  }
  const auto value = cursor_.read_integer();
  if (!value) cursor_.skip();
  if (!value || *value < 1) {
    problem(place.pointer(), "must be an integer of at least 1");
    return false;
  }
  into = static_cast<std::uint64_t>(*value);
  return true;
}

void RequestReader::pairs(StringPairs& into, Place place) {
  const std::string pointer = place.pointer();
  if (!open_object(pointer)) return;
  std::string name;
  while (cursor_.next_member(name)) {
    const auto value = cursor_.read_string();
    if (!value) {
      problem(Place{pointer, name}.pointer(), "must be a string");
      cursor_.skip();
    } else if (into.size() == kMaxPairs) {
      problem(pointer, "has too many members");
    } else {
      into.emplace_back(name, *value);
    }
  }
}

void RequestReader::body(std::string& into, Place place) {
  if (cursor_.peek() == JsonCursor::Kind::kNull) {
    cursor_.skip();
    return;
  }
  const auto value = cursor_.read_string();
  if (!value) {
    problem(place.pointer(), "must be a string");
    cursor_.skip();
    return;
  }
  if (auto decoded = base64_decode(*value)) {
    into = std::move(*decoded);
  } else {
    problem(place.pointer(), "must be base64 (RFC 4648 §4, padded)");
  }
}

void RequestReader::read_context(ExecuteContext& context) {
  constexpr std::string_view kParent = "/context";
  constexpr std::array<std::string_view, 9> kKnown = {"request_id", "tenant_id",    "extension_id",
                                                      "install_id", "content_hash", "version_id",
                                                      "config",     "user",         "traceparent"};
  if (!open_object(std::string(kParent))) return;
  unsigned seen = 0;
  for (int index = 0; (index = next_known(kParent, kKnown, seen)) >= 0;) {
    const Place place{kParent, kKnown[static_cast<std::size_t>(index)]};
    switch (index) {
      case 0:
        text(context.request_id, place);
        break;
      case 1:
        id(context.tenant_id, place);
        break;
      case 2:
        id(context.extension_id, place);
        break;
      case 3:
        id(context.install_id, place);
        break;
      case 4:
        id(context.content_hash, place);
        break;
      case 5:
        id(context.version_id, place);
        break;
      case 6:
        object_text(context.config_json, place);
        break;
      case 7:
        object_text(context.user_json, place);
        break;
      default:
        text(context.trace_parent, place);
    }
  }
  require(kParent, kKnown, 6, seen);
}

void RequestReader::read_query_all(StringPairs& query) {
  const std::string pointer = "/http/query_all";
  if (!open_object(pointer)) return;
  std::string name;
  while (cursor_.next_member(name)) {
    if (!cursor_.open_array()) {
      problem(Place{pointer, name}.pointer(), "must be an array of strings");
      cursor_.skip();
      continue;
    }
    while (cursor_.next_element()) {
      const auto value = cursor_.read_string();
      if (!value) {
        problem(Place{pointer, name}.pointer(), "must be an array of strings");
        cursor_.skip();
      } else if (query.size() == kMaxPairs) {
        problem(pointer, "has too many members");
      } else {
        query.emplace_back(name, *value);
      }
    }
  }
}

void RequestReader::read_http(HttpCall& call) {
  constexpr std::string_view kParent = "/http";
  constexpr std::array<std::string_view, 8> kKnown = {"method", "path",      "handler", "params",
                                                      "query",  "query_all", "headers", "body_b64"};
  if (!open_object(std::string(kParent))) return;
  unsigned seen = 0;
  StringPairs query_all;
  for (int index = 0; (index = next_known(kParent, kKnown, seen)) >= 0;) {
    const Place place{kParent, kKnown[static_cast<std::size_t>(index)]};
    switch (index) {
      case 0:
        text(call.method, place);
        break;
      case 1:
        text(call.path, place);
        break;
      case 2:
        text(call.handler, place);
        break;
      case 3:
        pairs(call.params, place);
        break;
      case 4:
        pairs(call.query, place);
        break;
      case 5:
        read_query_all(query_all);
        break;
      case 6:
        pairs(call.headers, place);
        break;
      default:
        body(call.body, place);
    }
  }
  require(kParent, kKnown, 2, seen);
  // `query_all` says more than `query`; keys that it lacks are taken from there.
  const std::size_t listed = query_all.size();
  for (auto& [key, value] : call.query) {
    const auto same = [&key](const auto& pair) { return pair.first == key; };
    if (std::ranges::none_of(std::span(query_all).first(listed), same)) query_all.emplace_back(key, std::move(value));
  }
  call.query = std::move(query_all);
  for (auto& header : call.headers) {
    for (char& c : header.first) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
}

void RequestReader::read_event(EventCall& call) {
  constexpr std::string_view kParent = "/event";
  constexpr std::array<std::string_view, 5> kKnown = {"topic", "id", "payload", "handler", "source"};
  if (!open_object(std::string(kParent))) return;
  unsigned seen = 0;
  for (int index = 0; (index = next_known(kParent, kKnown, seen)) >= 0;) {
    if (index == 0) text(call.topic, {kParent, "topic"});
    if (index == 1) text(call.id, {kParent, "id"});
    if (index == 2) call.payload_json.assign(cursor_.skip());
    if (index == 3) text(call.handler, {kParent, "handler"});
    if (index == 4) text(call.source, {kParent, "source"});
  }
  require(kParent, kKnown, 2, seen);
}

void RequestReader::read_schedule(ScheduleCall& call) {
  constexpr std::string_view kParent = "/schedule";
  constexpr std::array<std::string_view, 4> kKnown = {"id", "handler", "scheduled_at", "payload"};
  if (!open_object(std::string(kParent))) return;
  unsigned seen = 0;
  for (int index = 0; (index = next_known(kParent, kKnown, seen)) >= 0;) {
    if (index == 0) text(call.id, {kParent, "id"});
    if (index == 1) text(call.handler, {kParent, "handler"});
    if (index == 2) text(call.scheduled_at, {kParent, "scheduled_at"});
    if (index == 3) call.payload_json.assign(cursor_.skip());
  }
  require(kParent, kKnown, 1, seen);
}

void RequestReader::read_limits(Limits& limits) {
  constexpr std::string_view kParent = "/limits";
  constexpr std::array<std::string_view, 3> kKnown = {"timeout_ms", "memory_mb", "fuel"};
  if (!open_object(std::string(kParent))) return;
  unsigned seen = 0;
  std::uint64_t number = 0;
  for (int index = 0; (index = next_known(kParent, kKnown, seen)) >= 0;) {
    if (!positive(number, {kParent, kKnown[static_cast<std::size_t>(index)]})) continue;
    if (index == 0) {
      const auto most = static_cast<std::uint64_t>(kMaxTimeout.count());
      limits.timeout = Millis(static_cast<std::int64_t>(std::min(number, most)));
    } else if (index == 1) {
      limits.memory = Bytes{std::min(number, kMaxMemory.value >> 20) << 20};
    } else {
      limits.fuel = number;
    }
  }
}

void RequestReader::read_members(ExecuteRequest& request) {
  constexpr std::array<std::string_view, 5> kKnown = {"context", "limits", "http", "event", "schedule"};
  unsigned seen = 0;
  int calls = 0;
  for (int index = 0; (index = next_known("", kKnown, seen)) >= 0;) {
    if (index >= 2) ++calls;
    switch (index) {
      case 0:
        read_context(request.context);
        break;
      case 1:
        read_limits(request.limits);
        break;
      case 2:
        read_http(request.call.emplace<HttpCall>());
        break;
      case 3:
        read_event(request.call.emplace<EventCall>());
        break;
      default:
        read_schedule(request.call.emplace<ScheduleCall>());
    }
  }
  require("", kKnown, 1, seen);
  if (calls != 1) problem("", "must have exactly one of http, event and schedule");
}

Result<ExecuteRequest> RequestReader::read() {
  ExecuteRequest request;
  if (open_object("")) read_members(request);
  if (!cursor_.finished()) {
    return fail(ErrorCode::kInvalidJson,
                "The body is not valid JSON at byte " + std::to_string(cursor_.offset()) + ".");
  }
  if (problems_.empty()) return request;
  Error error{.code = ErrorCode::kBadRequest, .message = {}, .detail = {}, .fields = std::move(problems_), .cause = {}};
  error.message =
      "The execute request is not valid: " + error.fields.front().pointer + " " + error.fields.front().message + ".";
  return fail(std::move(error));
}

}  // namespace

Result<ExecuteRequest> parse_execute_request(std::string_view body) { return RequestReader(body).read(); }

}  // namespace bulkhead::protocol
