// The whole room on both engines: routes, rules, what is stored, what guests get.
#include <gtest/gtest.h>

#include "features/extensions/room_testing.h"
#include "features/secrets/routes.h"
#include "features/secrets/secret_calls.h"
#include "platform/kms/room_testing.h"

namespace bulkhead {
std::vector<sql::Migration> secrets_migrations();
}

namespace bulkhead::secrets {
namespace {

using net::Method;
using protocol::HostCode;
using Answer = extensions::TestRoom::Answer;

constexpr const char* kCanary = "canary-5b1f9e3a-of-the-secret";

class SecretsTest : public testing::TestWithParam<sql::Engine> {
 protected:
  SecretsTest() {
    BH_ASSERT(room_.access.database->migrate(secrets_migrations()).has_value());
    // The extensions' routes are in room_.service; these are this room's alone.
    auto table = access::RouteTable::build(secret_routes({service_, room_.access.authorizer, room_.access.tenants}));
    BH_ASSERT(table.has_value());
    routes_ = std::make_unique<access::RouteService>(room_.access.cores, std::move(*table), room_.access.authenticator,
                                                     nullptr, room_.access.clock, room_.access.registry,
                                                     access::RouteService::Options{});
    room_.trust_key();
    BH_ASSERT(room_
                  .publish(key_, room_.hello("1.0.0", {{"secrets", {"api_key", "db.password"}},
                                                       {"capabilities", {"secrets.get"}}}))
                  .status == 201);
    const Answer made = room_.send(Method::kPost, "/api/installs", key_,
                                   {{"extension", "com.example.hello"}, {"granted_caps", {"secrets.get"}}});
    BH_ASSERT(made.status == 201);
    install_ = *InstallId::parse(made.text("/id"));
    path_ = "/api/installs/" + install_.to_string() + "/secrets";
  }

  Answer send(Method method, const std::string& target, const std::string& token, std::string body = {},
              std::string type = "application/json") {
    net::Request request;
    request.method = method;
    request.target = target;
    request.peer = boost::asio::ip::make_address("192.0.2.1");
    if (!token.empty()) request.headers.add("x-api-key", token);
    if (!body.empty()) request.headers.add("content-type", type);
    request.body = std::move(body);
    const net::Response response = sql::wait(routes_->handle(request));
    return {response.status, parse_json(response.body).value_or(nullptr)};
  }
  Answer put(const std::string& key, const std::string& value) {
    return send(Method::kPut, path_ + "/" + key, key_, value, "text/plain");
  }
  std::string read(SecretService& service, const std::string& key) {
    const auto value = sql::wait(service.read(room_.access.scope(acme_.id), install_, key));
    return value ? std::string(value->view()) : std::string(value.error().wire_code());
  }

  // An execution of the install, as the broker knows it.
  broker::HostCallContext execution(std::vector<std::string> declared = {"api_key", "db.password"}) {
    auto installed = std::make_shared<extensions::InstalledExtension>();
    installed->install_id = install_;
    installed->tenant_id = acme_.id;
    installed->granted_capabilities = {"secrets.get"};
    installed->secrets = std::move(declared);
    const auto handle = executions_.mint(std::move(installed), room_.access.clock.steady_now() + Millis(5'000), {});
    return {handle, executions_.find(handle)};
  }
  protocol::HostResult call(const broker::HostCallContext& context, const std::string& request) {
    return sql::wait(functions_[0].handler(context, *parse_json(request)));
  }
  std::string resolve(const broker::HostCallContext& context, const std::string& handle, bool https = true) {
    const auto value =
        sql::wait(handles_.resolve(context, handle, {.https = https, .host = "api.example.com", .port = 443}));
    return value ? std::string(value->view()) : std::string(value.error().wire_code());
  }
  sql::Rows all(const std::string& query) {
    return sql::wait(room_.access.database->system_read([&](sql::SystemTx& tx) { return tx.query(query); })).value();
  }

  extensions::TestRoom room_{GetParam()};
  kms::LocalKms kms_{*kms::Keyring::parse(kms::kGoldenKeyring, "the test"), room_.access.random};
  kms::Envelopes envelopes_{{kms_, room_.access.clock, room_.access.random, room_.access.registry}};
  int commits_ = 0;
  SecretService::Dependencies dependencies_{
      *room_.access.database, room_.installs,      room_.registry,        envelopes_,
      room_.access.clock,     room_.access.random, room_.access.registry, [this] { ++commits_; }};
  SecretService service_{dependencies_};
  SecretHandles handles_{service_, PlainHttp::kRefuse};
  broker::HostFunctions functions_ = secret_functions(service_, room_.access.random);
  broker::ExecutionTable executions_{room_.access.clock, room_.access.random};
  access::Organization acme_ = room_.access.organization("acme");
  std::string key_ = room_.access.key_in(acme_.id, "admin");
  std::unique_ptr<access::RouteService> routes_;
  InstallId install_;
  std::string path_;
};

TEST_P(SecretsTest, AreSetReplacedAndDeleted) {
  EXPECT_EQ(read(service_, "api_key"), "not_found");
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_, R"({"value":"first \u010d"})").status, 204);
  EXPECT_EQ(read(service_, "api_key"), "first \xC4\x8D");
  EXPECT_EQ(put("api_key", "second\n").status, 204);
  EXPECT_EQ(read(service_, "api_key"), "second\n") << "a text body is taken as it is";
  EXPECT_EQ(put("db.password", "third").status, 204);
  EXPECT_EQ(read(service_, "db.password"), "third");
  EXPECT_EQ(send(Method::kDelete, path_ + "/api_key", key_).status, 204);
  EXPECT_EQ(send(Method::kDelete, path_ + "/api_key", key_).status, 204) << "again";
  EXPECT_EQ(read(service_, "api_key"), "not_found");
  EXPECT_EQ(commits_, 4) << "the relay is woken by what changed something";
}

TEST_P(SecretsTest, ListingShowsNamesAndNeverValues) {
  put("db.password", kCanary);
  put("api_key", kCanary);
  const Answer list = send(Method::kGet, path_, key_);
  ASSERT_EQ(list.status, 200);
  EXPECT_EQ(list.text("/items/0/key"), "api_key");
  EXPECT_EQ(list.text("/items/1/key"), "db.password");
  EXPECT_TRUE(parse_rfc3339(list.text("/items/0/updated_at")).has_value());
  EXPECT_EQ(json::serialize(list.body).find("canary"), std::string::npos);
}

TEST_P(SecretsTest, OnlyDeclaredNamesCanBeSet) {
  const Answer near = put("api_kay", "x");
  EXPECT_EQ(near.status, 422);
  EXPECT_NE(near.text("/detail").find("did you mean \"api_key\"?"), std::string::npos) << near.text("/detail");
  EXPECT_EQ(near.text("/errors/0/pointer"), "/key");
  EXPECT_EQ(put("something_else", "x").status, 422);
  EXPECT_EQ(put("%20", "x").status, 422);
  EXPECT_EQ(put(std::string(65, 'k'), "x").status, 422);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_secret"), 0);
}

TEST_P(SecretsTest, ValuesHaveBounds) {
  EXPECT_EQ(put("api_key", std::string(kMaxValue.value, 'v')).status, 204);
  EXPECT_EQ(read(service_, "api_key").size(), kMaxValue.value);
  EXPECT_EQ(put("api_key", std::string(kMaxValue.value + 1, 'v')).status, 413);
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_, R"({"value":""})").status, 422);
  EXPECT_EQ(put("api_key", "not \xFF utf-8").status, 422);
  for (const char* body : {R"({"value":7})", R"({"value":"v","more":1})", R"([])", R"({})"}) {
    EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_, body).status, 422) << body;
  }
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_, "{").status, 400);
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_, "x", "image/png").status, 415);
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", key_).status, 415);
  EXPECT_EQ(read(service_, "api_key").size(), kMaxValue.value) << "what was refused changed nothing";
}

TEST_P(SecretsTest, AnInstallHasAHundredAtMost) {
  const auto scope = room_.access.scope(acme_.id);
  const auto filled = sql::wait(room_.access.database->write(scope, [&](sql::TenantTx& tx) -> Status {
    for (int i = 0; i < kMaxSecrets; ++i) {
      BH_TRY_VOID(put_secret(tx, {install_, "old_" + std::to_string(i), "-", "-"}, "test", UtcMicros{}));
    }
    return {};
  }));
  ASSERT_TRUE(filled.has_value());
  EXPECT_EQ(put("api_key", "x").status, 422);
  EXPECT_EQ(send(Method::kDelete, path_ + "/old_7", key_).status, 204) << "also one that is declared no more";
  EXPECT_EQ(put("api_key", "x").status, 204);
  EXPECT_EQ(put("api_key", "y").status, 204) << "replacing is no addition";
}

TEST_P(SecretsTest, RoutesAskForTheirPermissions) {
  const std::string developer = room_.access.key_in(acme_.id, "developer");
  const std::string viewer = room_.access.key_in(acme_.id, "viewer");
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", "", "v", "text/plain").status, 401);
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", developer, "v", "text/plain").status, 403);
  EXPECT_EQ(send(Method::kDelete, path_ + "/api_key", developer).status, 403);
  EXPECT_EQ(send(Method::kGet, path_, viewer).status, 200);
  const auto other = room_.access.organization("other");
  const std::string stranger = room_.access.key_in(other.id, "owner");
  EXPECT_EQ(send(Method::kPut, path_ + "/api_key", stranger, "v", "text/plain").status, 404);
  EXPECT_EQ(send(Method::kDelete, path_ + "/api_key", stranger).status, 404);
  EXPECT_EQ(send(Method::kGet, path_, stranger).status, 404);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_secret"), 0);
}

TEST_P(SecretsTest, NothingStoredHoldsTheValue) {
  put("api_key", kCanary);
  send(Method::kPut, path_ + "/db.password", key_, json::serialize(json::object{{"value", kCanary}}));
  const sql::Rows stored = all("SELECT value_enc, kid FROM extension_secret");
  ASSERT_EQ(stored.size(), 2U);
  for (const auto& row : stored) {
    const auto envelope = kms::parse_envelope(row.text(0));
    ASSERT_TRUE(envelope.has_value());
    EXPECT_EQ(envelope->kid, row.text(1));
  }
  std::string everything;
  for (const auto& row : all("SELECT resource, before_json, after_json, action FROM audit_log")) {
    for (std::size_t i = 0; i < 4; ++i) everything += row.optional_text(i).value_or("") + "\n";
  }
  for (const auto& row : all("SELECT topic, payload FROM outbox_event")) everything += row.text(0) + row.text(1) + "\n";
  for (const auto& row : stored) everything += row.text(0);
  EXPECT_EQ(everything.find(kCanary), std::string::npos);
  EXPECT_NE(everything.find("secret.put"), std::string::npos);
  EXPECT_NE(everything.find("secret.changed"), std::string::npos);
  EXPECT_NE(everything.find("/secrets/api_key"), std::string::npos);
}

TEST_P(SecretsTest, AnEnvelopeInAnotherRowDoesNotOpen) {
  put("api_key", kCanary);
  put("db.password", "other");
  const auto copied = sql::wait(room_.access.database->system_write([&](sql::SystemTx& tx) {
    return tx.execute(
        "UPDATE extension_secret SET value_enc = (SELECT value_enc FROM extension_secret WHERE key = "
        "'api_key') WHERE key = 'db.password'");
  }));
  ASSERT_TRUE(copied.has_value());
  SecretService fresh(dependencies_);
  EXPECT_EQ(read(fresh, "db.password"), "envelope_invalid");
  EXPECT_EQ(read(fresh, "api_key"), kCanary);
}

TEST_P(SecretsTest, ReadsAreCachedUntilAChangeOnAnotherNodeIsHeard) {
  put("api_key", "first");
  SecretService other_node(dependencies_);
  auto bus = bus::make_local_bus();
  Core core(0);
  other_node.listen(*bus, core);
  EXPECT_EQ(read(other_node, "api_key"), "first");
  put("api_key", "second");
  EXPECT_EQ(read(service_, "api_key"), "second") << "where it was changed it holds at once";
  EXPECT_EQ(read(other_node, "api_key"), "first") << "not heard of it yet";
  const auto event = bus::make_event(room_.access.clock, room_.access.random, "secret.changed", {});
  bus->publish({"secret.changed", json::serialize(json::object{{"id", event.id.to_string()},
                                                               {"tenant_id", acme_.id.to_string()},
                                                               {"created_at", to_rfc3339(event.created_at)},
                                                               {"data", {{"install_id", install_.to_string()}}}})});
  core.context().run();
  EXPECT_EQ(read(other_node, "api_key"), "second");
  put("api_key", "third");
  room_.access.clock.advance(std::chrono::seconds(6));
  EXPECT_EQ(read(other_node, "api_key"), "third") << "no event is needed for long";
}

TEST_P(SecretsTest, UninstallingRemovesThem) {
  put("api_key", "value");
  SecretFollower follower;
  const auto forgotten = sql::wait(room_.access.database->write(
      room_.access.scope(acme_.id), [&](sql::TenantTx& tx) { return follower.forget(tx, install_); }));
  ASSERT_TRUE(forgotten.has_value());
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_secret"), 0);
  ASSERT_EQ(room_.send(Method::kDelete, "/api/installs/" + install_.to_string(), key_).status, 204);
  EXPECT_EQ(put("api_key", "value").status, 404);
}

TEST_P(SecretsTest, StartSaysWhichKeyIsMissing) {
  EXPECT_TRUE(sql::wait(service_.check_keys("ring")).has_value()) << "nothing is encrypted yet";
  put("api_key", "value");
  EXPECT_TRUE(sql::wait(service_.check_keys("ring")).has_value());
  kms::LocalKms stranger{kms::Keyring::generate(room_.access.random), room_.access.random};
  kms::Envelopes elsewhere{{stranger, room_.access.clock, room_.access.random, room_.access.registry}};
  auto dependencies =
      SecretService::Dependencies{*room_.access.database, room_.installs,      room_.registry,        elsewhere,
                                  room_.access.clock,     room_.access.random, room_.access.registry, [] {}};
  SecretService misled(dependencies);
  const auto missing = sql::wait(misled.check_keys("ring"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kKeyUnavailable);
  EXPECT_NE(missing.error().message.find("1 secrets are encrypted with the key local-00112233:1, which is not in ring"),
            std::string::npos)
      << missing.error().message;
  EXPECT_EQ(read(misled, "api_key"), "key_unavailable");
}

// --- guests -------------------------------------------------------------------------------------------------------

TEST_P(SecretsTest, AGuestReadsWhatItsManifestDeclares) {
  put("api_key", "with \"quotes\" and \n");
  const auto context = execution();
  const auto got = call(context, R"({"key":"api_key"})");
  EXPECT_EQ(got.code, HostCode::kOk);
  EXPECT_EQ(parse_json(got.response_json)->at("value").as_string(), "with \"quotes\" and \n");
  EXPECT_TRUE(got.is_secret) << "so that it is wiped once it is sent";
  EXPECT_EQ(call(context, R"({"key":"db.password"})").code, HostCode::kNotFound);
  EXPECT_EQ(call(context, R"({"key":"other"})").code, HostCode::kDenied);
  EXPECT_EQ(call(execution({}), R"({"key":"api_key"})").code, HostCode::kDenied);
  for (const char* request : {R"({})", R"({"key":""})", R"({"key":7})", R"({"key":"a/b"})",
                              R"({"key":"api_key","x":1})", R"({"key":"api_key","handle":"yes"})", "[]"}) {
    EXPECT_EQ(call(context, request).code, HostCode::kInvalid) << request;
  }
}

TEST_P(SecretsTest, TheLargestValueReachesAGuest) {
  put("api_key", std::string(kMaxValue.value, '\x01'));
  const auto got = call(execution(), R"({"key":"api_key"})");
  ASSERT_EQ(got.code, HostCode::kOk);
  EXPECT_EQ(parse_json(got.response_json)->at("value").as_string().size(), kMaxValue.value);
}

TEST_P(SecretsTest, AHandleStandsForTheValueInItsExecutionOnly) {
  put("api_key", kCanary);
  const auto context = execution();
  const auto got = call(context, R"({"key":"api_key","handle":true})");
  ASSERT_EQ(got.code, HostCode::kOk) << got.response_json;
  EXPECT_EQ(got.response_json.find("canary"), std::string::npos);
  const std::string handle(parse_json(got.response_json)->at("handle").as_string());
  EXPECT_EQ(handle.size(), 32U);
  EXPECT_EQ(call(context, R"({"key":"api_key","handle":true})").response_json, got.response_json) << "one per name";
  EXPECT_EQ(resolve(context, handle), kCanary);
  EXPECT_EQ(resolve(execution(), handle), "not_found") << "another execution of the same install";
  EXPECT_EQ(resolve(context, std::string(32, '0')), "not_found");
  EXPECT_EQ(resolve(context, "api_key"), "not_found");
  EXPECT_EQ(resolve(context, handle, false), "capability_denied") << "not without TLS";
  put("api_key", "changed");
  EXPECT_EQ(resolve(context, handle), "changed");
  send(Method::kDelete, path_ + "/api_key", key_);
  EXPECT_EQ(resolve(context, handle), "not_found");
  EXPECT_EQ(call(context, R"({"key":"api_key","handle":true})").code, HostCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Engines, SecretsTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::secrets
