#include "features/egress/egress_service.h"

#include <algorithm>

#include "base/utf8.h"
#include "features/bundles/egress.h"
#include "features/egress/header_policy.h"
#include "platform/observe/log.h"
#include "protocol/json_text.h"

namespace bulkhead::egress {
namespace {

using guard::CircuitBreaker;
using protocol::HostCode;
using protocol::HostResult;

bool is_granted(const extensions::InstalledExtension& install, const TargetUrl& url) {
  return std::ranges::any_of(install.granted_egress, [&](const std::string& text) {
    const auto pattern = bundles::EgressPattern::parse(text);
    return pattern && pattern->matches(url.host(), url.port());
  });
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A gateway's word that what is behind it is away counts like a broken connection.
bool is_upstream_trouble(int status) { return status == 502 || status == 503 || status == 504; }

CircuitBreaker::Outcome outcome_of(const Result<net::ClientResponse>& answer) {
  if (answer) {
    return is_upstream_trouble(answer->status) ? CircuitBreaker::Outcome::kFailure : CircuitBreaker::Outcome::kSuccess;
  }
  const auto code = answer.error().code;
  return code == ErrorCode::kUnavailable || code == ErrorCode::kDeadlineExceeded ? CircuitBreaker::Outcome::kFailure
                                                                                 : CircuitBreaker::Outcome::kUnknown;
}

std::unexpected<FetchFailure> fail_with(HostCode code, std::string_view name, std::string message,
                                        Millis retry_after = Millis(0)) {
  return std::unexpected(FetchFailure{
      .code = code, .name = name, .message = std::move(message), .reason = {}, .retry_after = retry_after});
}

// An error of the HTTP client. Its detail stays inside: it may hold the address.
std::unexpected<FetchFailure> failure_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kCapabilityDenied:
      return denied(error.detail, error.message);
    case ErrorCode::kDeadlineExceeded:
      return fail_with(HostCode::kTimeout, "timeout", "The host did not answer in time.");
    case ErrorCode::kPayloadTooLarge:
      return fail_with(HostCode::kTooLarge, "response_too_large", error.message);
    case ErrorCode::kQuotaExceeded:
      return fail_with(HostCode::kQuota, "quota_exceeded", error.message);
    case ErrorCode::kOverloaded:
      return fail_with(HostCode::kQuota, "concurrency_exceeded", "Too many fetches are running.", Millis(100));
    case ErrorCode::kUnavailable:
      return upstream_error(error.message);
    case ErrorCode::kBadRequest:
      return invalid(error.message);
    default:
      return fail_with(HostCode::kInternal, "internal", "The fetch failed on our side.");
  }
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A new span in the execution's trace (W3C Trace Context §3.2), or empty. The parent may have come from a runner.
std::string child_span(std::string_view parent, Random& random) {
  if (parent.size() != 55 || !parent.starts_with("00-") || parent[35] != '-' || parent[52] != '-') return {};
  if (!is_lower_hex(parent.substr(3, 32)) || !is_lower_hex(parent.substr(53, 2))) return {};
  std::array<std::uint8_t, 8> span{};
  random.fill(span);
  const std::string_view bytes(reinterpret_cast<const char*>(span.data()), span.size());
  return std::string(parent.substr(0, 36)) + hex_encode(bytes) + std::string(parent.substr(52));
}

HostResult answer_json(const net::ClientResponse& response, std::string_view url, BodyForm form) {
  std::string out = "{\"status\":" + std::to_string(response.status) + ",\"headers\":{";
  bool first = true;
  for (const auto& [name, value] : guest_headers(response.headers, form)) {
    if (!first) out += ',';
    first = false;
    protocol::append_json_string(out, name);
    out += ':';
    protocol::append_json_string(out, value);
  }
  out += "},\"url\":";
  protocol::append_json_string(out, url);
  out += ",\"body_b64\":\"";
  out.reserve(out.size() + response.body.size() / 3 * 4 + 8);
  base64_append(out, response.body);
  out += "\"}";
  return {HostCode::kOk, std::move(out)};
}

std::string budget_used_up(std::uint64_t budget) {
  return "The call's egress budget of " + std::to_string(budget) + " bytes is used up.";
}

// A guest that asks for an encoding itself gets what the host sends.
BodyForm form_of(const FetchRequest& request) {
  return request.header("accept-encoding") == nullptr ? BodyForm::kDecoded : BodyForm::kAsSent;
}

}  // namespace

struct EgressService::Lane {
  Lane(Core& of, const EgressOptions& options, const Clock& clock)
      : core(of),
        client(net::make_http_client(of, {.ca_file = options.ca_file,
                                          .max_in_flight_per_pool = options.max_in_flight_per_install,
                                          .max_in_flight = options.max_in_flight,
                                          .max_pools = options.max_pools,
                                          .idle_connections_per_pool = options.idle_connections_per_install,
                                          .max_buffered = options.max_buffered})),
        breakers(options.breaker, options.max_breakers, clock, random) {}
  Core& core;
  SystemRandom random;
  std::unique_ptr<net::HttpClient> client;
  UpstreamBreakers breakers;
};

EgressService::EgressService(Cores& cores, EgressOptions options, const Clock& clock, metrics::Registry& registry)
    : options_(std::move(options)), clock_(clock), metrics_(registry) {
  BH_ASSERT(options_.dial_guard);
  for (std::size_t i = 0; i < cores.size(); ++i) {
    lanes_.push_back(std::make_unique<Lane>(cores.at(i), options_, clock));
  }
}

EgressService::~EgressService() = default;

EgressService::Lane& EgressService::lane() {
  const auto found = std::ranges::find_if(lanes_, [](const auto& one) { return one->core.is_current(); });
  BH_ASSERT(found != lanes_.end());
  return **found;
}

Task<HostResult> EgressService::fetch(broker::HostCallContext context, json::value request) {
  const SteadyTime begun = clock_.steady_now();
  auto parsed = parse_fetch_request(request);
  request = nullptr;  // may be large
  FetchResult<Answer> answer = std::unexpected(FetchFailure{});
  BodyForm form = BodyForm::kAsSent;
  if (parsed) {
    form = form_of(*parsed);
    answer = co_await follow(lane(), context, std::move(*parsed));
  } else {
    answer = std::unexpected(std::move(parsed.error()));
  }
  const auto took = std::chrono::duration_cast<Micros>(clock_.steady_now() - begun);
  if (answer) {
    metrics_.answered(took);
    co_return answer_json(answer->response, answer->url, form);
  }
  metrics_.failed(answer.error(), took);
  if (answer.error().code == HostCode::kDenied) {
    log::info("egress_denied", {{"install_id", context.install().install_id.to_string()},
                                {"request_id", context.execution->request_id},
                                {"reason", answer.error().reason}});
  }
  co_return to_host_result(answer.error());
}

Task<FetchResult<EgressService::Answer>> EgressService::follow(Lane& lane, broker::HostCallContext context,
                                                               FetchRequest request) {
  const SteadyTime deadline = std::min(clock_.steady_now() + request.timeout, context.deadline());
  for (int redirects = 0;; ++redirects) {
    auto response = co_await send(lane, context, request, deadline);
    if (!response) co_return std::unexpected(std::move(response.error()));
    const auto location = response->headers.find("location");
    if (!is_redirect(response->status) || !location || request.redirects == Redirects::kManual) {
      co_return Answer{.response = std::move(*response), .url = request.url.to_string()};
    }
    if (request.redirects == Redirects::kError) co_return upstream_error("The host answered with a redirect.");
    if (redirects == kMaxRedirects) co_return upstream_error("The host redirected more than 5 times.");
    if (auto changed = apply_redirect(request, response->status, *location); !changed) {
      co_return std::unexpected(std::move(changed.error()));
    }
  }
}

Task<FetchResult<net::ClientResponse>> EgressService::send(Lane& lane, const broker::HostCallContext& context,
                                                           const FetchRequest& request, SteadyTime deadline) {
  const auto& install = context.install();
  const TargetUrl& url = request.url;
  if (!is_granted(install, url)) {
    co_return denied("host_not_granted", "The host or its port is not among those granted to this install.");
  }
  const auto pins = options_.pins.of(url.host());
  if (!pins.empty() && !url.is_https()) co_return denied("scheme", "This host can be reached by https only.");
  // Asked here as well as by the meter: what is not sent does not count.
  const auto budget = install.limits.egress.value;
  if (context.execution->egress_bytes + request.body.size() >= budget) {
    co_return fail_with(HostCode::kQuota, "quota_exceeded", budget_used_up(budget));
  }
  auto headers = co_await headers_of(lane, context, request);
  if (!headers) co_return std::unexpected(std::move(headers.error()));
  const auto left = std::chrono::floor<Millis>(deadline - clock_.steady_now());
  if (left <= Millis(0)) co_return fail_with(HostCode::kTimeout, "timeout", "The host did not answer in time.");

  net::ClientRequest outgoing{.method = request.method,
                              .url = url.to_string(),
                              .headers = std::move(*headers),
                              .body = request.body,
                              .timeout = left,
                              .response_limit = kMaxResponse,
                              .pool = install.tenant_id.to_string() + "/" + install.install_id.to_string(),
                              .dial_guard = options_.dial_guard,
                              .meter = meter_of(context),
                              .pinned_public_keys = std::string(pins),
                              .content = form_of(request) == BodyForm::kDecoded ? net::ClientRequest::Content::kDecoded
                                                                                : net::ClientRequest::Content::kAsSent};
  if (options_.addresses_of) outgoing.addresses = options_.addresses_of(url.host());

  CircuitBreaker* breaker = lane.breakers.find(install.install_id, url.authority());
  const auto admission =
      breaker == nullptr ? CircuitBreaker::Admission{.allowed = true, .ticket = {}} : breaker->admit();
  if (!admission.allowed) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(admission.retry_after).count();
    co_return fail_with(HostCode::kInternal, "upstream_unavailable",
                        "The host has failed too often; try again in " + std::to_string(seconds) + " s.",
                        admission.retry_after);
  }
  auto answer = co_await lane.client->send(std::move(outgoing));
  // Looked up again: it may have been forgotten meanwhile.
  if (breaker != nullptr) breaker = lane.breakers.find(install.install_id, url.authority());
  if (breaker != nullptr && breaker->record(admission.ticket, outcome_of(answer))) {
    metrics_.breaker_opened();
    log::warn("egress_breaker_opened", {{"install_id", install.install_id.to_string()}, {"upstream", url.authority()}});
  }
  if (!answer) co_return failure_of(answer.error());
  co_return std::move(*answer);
}

Task<FetchResult<net::Headers>> EgressService::headers_of(Lane& lane, const broker::HostCallContext& context,
                                                          const FetchRequest& request) {
  net::Headers headers;
  for (const FetchHeader& header : request.headers) {
    if (header.secret_handle.empty()) {
      headers.add(header.name, header.value);
      continue;
    }
    if (options_.secrets == nullptr) co_return denied("secret", "This server keeps no secrets.");
    const auto secret = co_await options_.secrets->resolve(
        context, header.secret_handle,
        {.https = request.url.is_https(), .host = request.url.host(), .port = request.url.port()});
    if (!secret) {
      switch (secret.error().code) {
        case ErrorCode::kNotFound:
          co_return fail_with(HostCode::kNotFound, "not_found", "The secret handle is not one of this call.");
        case ErrorCode::kCapabilityDenied:
          co_return denied("secret", "The secret may not be sent to this host.");
        default:
          co_return fail_with(HostCode::kInternal, "internal", "The secret could not be read.");
      }
    }
    std::string value = header.value + std::string(secret->view());
    const WipeAtExit wiped(value);
    if (!is_field_value(value) || value.size() > kMaxHeaderBytes.value) {
      co_return invalid("The secret can't stand in the header " + header.name + ".");
    }
    headers.add(header.name, value);
  }
  if (options_.trace == TraceContext::kSend) {
    const auto span = child_span(context.execution->trace_parent, lane.random);
    if (!span.empty()) headers.add("traceparent", span);
  }
  co_return headers;
}

std::function<Status(std::uint64_t)> EgressService::meter_of(const broker::HostCallContext& context) {
  return [this, live = context.execution](std::uint64_t bytes) -> Status {
    const auto budget = live->install->limits.egress.value;
    live->egress_bytes += bytes;
    metrics_.bytes(bytes);
    return live->egress_bytes <= budget ? Status() : fail(ErrorCode::kQuotaExceeded, budget_used_up(budget));
  };
}

broker::HostFunctions egress_functions(EgressService& service) {
  broker::HostFunctions functions;
  functions.push_back({.name = "http.fetch",
                       .capability = "http.fetch",
                       .handler = [&service](broker::HostCallContext context, json::value request) {
                         return service.fetch(std::move(context), std::move(request));
                       }});
  return functions;
}

}  // namespace bulkhead::egress
