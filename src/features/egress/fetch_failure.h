// FetchFailure: why http.fetch gave no answer, as the guest sees it: the ABI's number, a code, and for a denial the
// class of its reason. Never an address, a header's value or a secret. Plain values.
#pragma once

#include <array>
#include <expected>
#include <string>
#include <string_view>

#include "base/time.h"
#include "protocol/frames.h"

namespace bulkhead::egress {

// The classes of denials: those of our own and net::AddressClass's. Also the label of the metric.
inline constexpr std::array<std::string_view, 23> kDenialReasons = {
    "host_not_granted", "host_form",    "method",           "header",        "secret",       "scheme",
    "scheme_downgrade", "own_listener", "not_in_allowlist", "private",       "unique_local", "shared_space",
    "loopback",         "unspecified",  "multicast",        "broadcast",     "link_local",   "metadata",
    "documentation",    "benchmarking", "reserved",         "embedded_ipv4", "address"};

struct FetchFailure {
  protocol::HostCode code = protocol::HostCode::kInternal;
  std::string_view name;      // "capability_denied", "upstream_error", …; static text
  std::string message;        // a sentence
  std::string_view reason{};  // of a denial: one of kDenialReasons
  Millis retry_after{0};      // > 0: when it may go well
};

template <typename T>
using FetchResult = std::expected<T, FetchFailure>;

// -2
std::unexpected<FetchFailure> invalid(std::string message);
// -1; a reason that is not in the table is "address".
std::unexpected<FetchFailure> denied(std::string_view reason, std::string message);
// -7
std::unexpected<FetchFailure> upstream_error(std::string message);

// {"error":{"code","message","reason"?,"retry_after_ms"?}} with the number.
protocol::HostResult to_host_result(const FetchFailure& failure);

}  // namespace bulkhead::egress
