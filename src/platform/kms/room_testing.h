// For tests and benchmarks: this room on a keyring in memory. The local driver never waits, so its tasks are run to
// their end on the spot.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>

#include "platform/kms/envelopes.h"
#include "platform/kms/local_kms.h"

namespace bulkhead::kms {

template <typename T>
T run_now(Task<T> task) {
  asio::io_context context(1);
  std::optional<T> result;
  const auto keep = [](Task<T> inner, std::optional<T>& out) -> Task<> { out.emplace(co_await std::move(inner)); };
  asio::co_spawn(context, keep(std::move(task), result), [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
  return std::move(*result);
}

// A value, its key and its place, made by another implementation (Python's cryptography) from fixed bytes.
inline constexpr const char* kGoldenKeyring =
    R"({"v":1,"id":"local-00112233","current":1,)"
    R"("keys":[{"version":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]})";
inline constexpr const char* kGoldenEnvelope =
    R"({"v":1,"alg":"A256GCM","kid":"local-00112233:1",)"
    R"("dek":"AAECAwQFBgcICQoLI2ewfK2MqHDhLPnkwZgKHvej8UOIAiUHRBqb-p3ogjHQIXRWAZ0mWopSaZ-0C7Mw",)"
    R"("iv":"MjM0NTY3ODk6Ozw9","ct":"i_hhKoUCmf4fIMeo","tag":"HrL6-vmYT0JBZyqiVVNI6w"})";
inline constexpr const char* kGoldenValue =
    "sk_live_\xC4\x8D"
    "au";
inline Place golden_place() {
  return {.table = "extension_secret",
          .column = "value_enc",
          .row = "0d9c8b7a-6f5e-4d3c-8b2a-190807060504/api_key",
          .tenant = *TenantId::parse("7f3c1a52-9b0e-4c11-8d7a-2f5e6b9c0d41")};
}

}  // namespace bulkhead::kms
