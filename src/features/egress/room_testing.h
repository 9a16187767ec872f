// For the egress room's tests: an EgressService against a real upstream on loopback. The guard of production never lets
// loopback pass, so the fixture hands the service a dial guard of its own that opens 127.0.0.1 and asks the real one
// about everything else; tests of the guard itself hand over the real one alone. Names are answered by the test instead
// of DNS.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <future>
#include <map>

#include "features/egress/egress_service.h"
#include "platform/net/http_client_test_server.h"
#include "platform/net/ssrf_guard.h"

namespace bulkhead::egress {
using namespace std::chrono_literals;
using net::RawServer;
using protocol::HostCode;

inline std::string answer_of(std::string_view body, std::string_view headers = {}, std::string_view status = "200 OK") {
  return "HTTP/1.1 " + std::string(status) + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" +
         std::string(headers) + "\r\n" + std::string(body);
}
inline std::string redirect_to(std::string_view location, std::string_view status = "302 Found") {
  return answer_of("", "location: " + std::string(location) + "\r\n", status);
}

class OneSecret final : public SecretResolver {
 public:
  Task<Result<SecretString>> resolve(broker::HostCallContext context, std::string handle,
                                     SecretDestination destination) override {
    last = destination;
    if (context.execution->request_id.empty() || handle != "handle-1") co_return fail(ErrorCode::kNotFound);
    if (destination.host == "elsewhere.example") co_return fail(ErrorCode::kCapabilityDenied, "s3cret", "s3cret");
    co_return SecretString(value);
  }
  std::string value = "s3cret";
  SecretDestination last;
};

class EgressTest : public testing::Test {
 protected:
  EgressTest() {
    auto install = std::make_shared<extensions::InstalledExtension>();
    install->install_id = InstallId::v4(random_);
    install->tenant_id = TenantId::v4(random_);
    install_ = std::move(install);
    options_.dial_guard = [this](const asio::ip::address& address, std::uint16_t port) -> Status {
      if (address == asio::ip::make_address("127.0.0.1")) return {};
      return guard_.check(address, port);
    };
    options_.addresses_of = [this](const std::string& host) {
      std::vector<asio::ip::address> addresses;
      const auto known = names_.find(host);
      if (known == names_.end()) return addresses;
      for (const auto& text : known->second) addresses.push_back(asio::ip::make_address(text));
      return addresses;
    };
    options_.secrets = &secrets_;
    begin();
  }
  ~EgressTest() override {
    cores_.stop();
    service_.reset();
  }

  // A new execution of the install.
  void begin(Millis time = 20s) {
    const auto handle = table_.mint(install_, clock_.steady_now() + time,
                                    {.request_id = "r-1",
                                     .tenant_id = {},
                                     .extension_id = {},
                                     .install_id = {},
                                     .content_hash = {},
                                     .version_id = {},
                                     .config_json = {},
                                     .user_json = {},
                                     .trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
    context_ = broker::HostCallContext{handle, table_.find(handle)};
  }
  void grant(std::vector<std::string> hosts) {
    auto changed = std::make_shared<extensions::InstalledExtension>(*install_);
    changed->granted_egress = std::move(hosts);
    install_ = std::move(changed);
    begin();
  }
  void grant_loopback(const RawServer& server) { grant({"127.0.0.1:" + std::to_string(server.port())}); }
  std::string port(const RawServer& server) { return std::to_string(server.port()); }

  std::future<protocol::HostResult> start(json::value request) {
    if (!service_) {
      service_ = std::make_unique<EgressService>(cores_, options_, clock_, registry_);
      cores_.start();
    }
    auto promise = std::make_shared<std::promise<protocol::HostResult>>();
    cores_.spawn(0, [this, promise, context = context_, request = std::move(request)]() mutable {
      return deliver(*service_, std::move(context), std::move(request), promise);
    });
    return promise->get_future();
  }
  static Task<> deliver(EgressService& service, broker::HostCallContext context, json::value request,
                        std::shared_ptr<std::promise<protocol::HostResult>> into) {
    into->set_value(co_await service.fetch(std::move(context), std::move(request)));
  }
  protocol::HostResult fetch(json::value request) { return start(std::move(request)).get(); }
  protocol::HostResult fetch(const std::string& url) { return fetch(json::value{{"url", url}}); }
  protocol::HostResult fetch(const char* url) { return fetch(std::string(url)); }
  json::object answer(json::value request) {
    const auto result = fetch(std::move(request));
    EXPECT_EQ(result.code, HostCode::kOk) << result.response_json;
    return parse_json(result.response_json).value().as_object();
  }
  static std::string body_of(const json::object& answer) {
    return base64_decode(std::string_view(answer.at("body_b64").as_string())).value();
  }
  static std::string error_of(const protocol::HostResult& result, const char* member = "code") {
    if (result.code == HostCode::kOk) return "ok";
    const auto document = parse_json(result.response_json).value();
    const auto* value = document.at("error").as_object().if_contains(member);
    if (value == nullptr) return "";
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
  }
  // "-1 loopback", "-7 upstream_error": the number, and the reason or else the code.
  static std::string outcome(const protocol::HostResult& result) {
    const auto reason = error_of(result, "reason");
    return std::to_string(static_cast<int>(result.code)) + " " + (reason.empty() ? error_of(result) : reason);
  }
  std::uint64_t used() const { return context_.execution->egress_bytes; }

  SystemClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  net::SsrfGuard guard_{{.refusal = ErrorCode::kCapabilityDenied}};
  std::map<std::string, std::vector<std::string>> names_;
  OneSecret secrets_;
  EgressOptions options_;
  std::shared_ptr<const extensions::InstalledExtension> install_ = std::make_shared<extensions::InstalledExtension>();
  broker::ExecutionTable table_{clock_, random_};
  broker::HostCallContext context_;
  Cores cores_{1};
  std::unique_ptr<EgressService> service_;
};

}  // namespace bulkhead::egress
