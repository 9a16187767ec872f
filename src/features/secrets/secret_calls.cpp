#include "features/secrets/secret_calls.h"

#include <algorithm>

namespace bulkhead::secrets {
namespace {

using broker::HostCallContext;
using protocol::HostCode;
using protocol::HostResult;

constexpr std::size_t kHandleBytes = 16;

std::string make_handle(Random& random) {
  std::string bytes(kHandleBytes, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return hex_encode(bytes);
}

// The same handle for the same name, so that an execution has at most as many as its manifest has names.
std::string handle_of(broker::LiveExecution& execution, const std::string& key, Random& random) {
  const auto known = std::ranges::find(execution.secret_handles, key, [](const auto& entry) { return entry.second; });
  if (known != execution.secret_handles.end()) return known->first;
  std::string handle = make_handle(random);
  execution.secret_handles.emplace(handle, key);
  return handle;
}

// {"value":"…"}, without leaving pieces of it in memory that a growing string gave back.
HostResult value_answer(const SecretString& value) {
  HostResult result{.code = HostCode::kOk, .response_json = {}, .is_secret = true};
  result.response_json.reserve(value.size() * 6 + 32);  // "\u0000" is the longest form of one byte
  result.response_json += R"({"value":)";
  const json::string_view text(value.view().data(), value.size());
  json::serializer serializer;
  serializer.reset(text);
  std::array<char, 1024> piece{};
  while (!serializer.done()) result.response_json += std::string_view(serializer.read(piece.data(), piece.size()));
  wipe(piece);
  result.response_json += '}';
  return result;
}

class SecretCalls {
 public:
  SecretCalls(SecretService& service, Random& random) : service_(service), random_(random) {}

  Task<HostResult> get(HostCallContext context, json::value request) {
    std::vector<FieldError> problems;
    JsonReader reader(request, problems);
    const std::string key = reader.required_string("key").value_or("");
    const bool wants_handle = reader.optional_bool("handle").value_or(false);
    reader.refuse_unknown();
    if (problems.empty() && !is_valid_key(key)) reader.problem("key", "must be 1 to 64 letters, digits, _, . and -");
    if (!problems.empty()) {
      co_return broker::host_error(HostCode::kInvalid, "invalid_request",
                                   problems[0].pointer + " " + problems[0].message + ".");
    }
    const auto& declared = context.install().secrets;
    if (std::ranges::find(declared, key) == declared.end()) {
      co_return broker::host_error(HostCode::kDenied, "secret_not_declared",
                                   "The manifest's secrets do not name \"" + key + "\".");
    }
    const auto value = co_await service_.read(context.scope(), context.install().install_id, key);
    if (!value) co_return broker::host_error(value.error());
    if (!wants_handle) co_return value_answer(*value);
    co_return broker::host_answer(json::object{{"handle", handle_of(*context.execution, key, random_)}});
  }

 private:
  SecretService& service_;
  Random& random_;
};

}  // namespace

broker::HostFunctions secret_functions(SecretService& service, Random& random) {
  const auto calls = std::make_shared<SecretCalls>(service, random);
  return {{.name = "secrets.get",
           .capability = "secrets.get",
           .handler = [calls](HostCallContext context, json::value request) {
             return calls->get(std::move(context), std::move(request));
           }}};
}

Task<Result<SecretString>> SecretHandles::resolve(HostCallContext context, std::string handle,
                                                  egress::SecretDestination destination) {
  const auto found = context.execution->secret_handles.find(handle);
  if (found == context.execution->secret_handles.end()) {
    co_return fail(ErrorCode::kNotFound, "The secret handle is not one of this execution.");
  }
  if (!destination.https && plain_ == PlainHttp::kRefuse) {
    co_return fail(ErrorCode::kCapabilityDenied, "A secret is sent by https only.");
  }
  const std::string key = found->second;
  co_return co_await service_.read(context.scope(), context.install().install_id, key);
}

}  // namespace bulkhead::secrets
