#include "features/broker/host_function.h"

namespace bulkhead::broker {
namespace {

using protocol::HostCode;

HostCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return HostCode::kNotFound;
    case ErrorCode::kConflict:
    case ErrorCode::kAlreadyExists:
      return HostCode::kConflict;
    case ErrorCode::kPayloadTooLarge:
      return HostCode::kTooLarge;
    case ErrorCode::kBadRequest:
    case ErrorCode::kUnprocessable:
      return HostCode::kInvalid;
    case ErrorCode::kDeadlineExceeded:
      return HostCode::kTimeout;
    case ErrorCode::kCapabilityDenied:
    case ErrorCode::kForbidden:
      return HostCode::kDenied;
    case ErrorCode::kQuotaExceeded:
      return HostCode::kQuota;
    default:
      return HostCode::kInternal;
  }
}

}  // namespace

protocol::HostResult host_error(HostCode code, std::string_view name, std::string_view message) {
  return {code, json::serialize(json::value{{"error", {{"code", name}, {"message", message}}}})};
}

protocol::HostResult host_error(const Error& error) {
  return host_error(code_of(error.code), error.wire_code(),
                    error.message.empty() ? error_info(error.code).title : std::string_view(error.message));
}

protocol::HostResult host_answer(const json::value& response) { return {HostCode::kOk, json::serialize(response)}; }

}  // namespace bulkhead::broker
