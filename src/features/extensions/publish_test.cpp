// Publishing and the registry, through the routes.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "features/extensions/registry_store.h"
#include "features/extensions/room_testing.h"

namespace bulkhead::extensions {
namespace {

using net::Method;

class Publishing : public testing::TestWithParam<sql::Engine> {
 protected:
  Publishing() { room_.trust_key(); }

  TestRoom room_{GetParam()};
  access::Organization alice_ = room_.access.organization("alice");
  access::Organization bob_ = room_.access.organization("bob");
  std::string alices_ = room_.access.key_in(alice_.id), bobs_ = room_.access.key_in(bob_.id);
};
INSTANTIATE_TEST_SUITE_P(Engines, Publishing, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(Publishing, TheFirstPublishClaimsTheNameForItsOrganization) {
  const std::string bytes = room_.hello("1.0.0");
  const auto published = room_.publish(alices_, bytes);
  ASSERT_EQ(published.status, 201) << json::serialize(published.body);
  EXPECT_EQ(published.text("/content_hash"), ContentHash::of(bytes).to_string());
  EXPECT_EQ(published.text("/version/signer/key_id"), room_.key.public_key().id());
  EXPECT_EQ(room_.compiler.calls, 1);

  const auto found = room_.send(Method::kGet, "/api/extensions/com.example.hello", alices_);
  EXPECT_EQ(found.text("/owner_tenant_id"), alice_.id.to_string());
  EXPECT_EQ(found.text("/latest_version"), "1.0.0");
  EXPECT_EQ(room_.publish(bobs_, room_.hello("1.1.0")).code(), "name_claimed");
  room_.access.clock.advance(std::chrono::seconds(1));  // versions are listed by their time
  // By the registry's id as well as by name.
  EXPECT_EQ(room_.publish(alices_, room_.hello("1.1.0"), published.text("/extension/id")).status, 201);
  const auto versions = room_.send(Method::kGet, "/api/extensions/com.example.hello/versions", alices_);
  EXPECT_EQ(versions.text("/items/0/version"), "1.1.0");
  EXPECT_EQ(versions.text("/items/1/manifest/name"), "com.example.hello");
}

TEST_P(Publishing, StoresTheBundleUnderItsHashAndTellsOthers) {
  const std::string bytes = room_.hello("1.0.0");
  ASSERT_EQ(room_.publish(alices_, bytes).status, 201);
  const auto stored = sql::wait(room_.blobs->get(bundle_key(ContentHash::of(bytes)), 1_MiB));
  EXPECT_EQ(*stored, bytes);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM outbox_event WHERE topic = 'extension.published'"), 1);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM audit_log WHERE action = 'extension.publish'"), 1);
}

TEST_P(Publishing, AVersionNeverChanges) {
  const std::string bytes = room_.hello("1.0.0");
  ASSERT_EQ(room_.publish(alices_, bytes).status, 201);
  const auto again = room_.publish(alices_, bytes);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "EXTENSION_VERSION_ALREADY_EXISTS");
  EXPECT_EQ(room_.publish(alices_, room_.hello("1.0.0", {{"publisher", "other content"}})).status, 409);
}

TEST_P(Publishing, OnlyTrustedSignaturesOfExactlyThisContentCount) {
  const std::string text = TestRoom::manifest("com.example.hello", "1.0.0");
  const auto unsigned_one = room_.publish(alices_, room_.unsigned_bundle(text));
  EXPECT_EQ(unsigned_one.status, 422);
  EXPECT_EQ(unsigned_one.code(), "signature_required");

  room_.key = bundles::PrivateKey::generate(bundles::KeyKind::kEcdsaP256);
  EXPECT_EQ(room_.publish(alices_, room_.signed_bundle(text)).code(), "signer_untrusted");
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_version"), 0);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_registry"), 0);
  EXPECT_EQ(room_.compiler.calls, 0) << "nothing is compiled before its signature is known to be good";
}

TEST_P(Publishing, ADetachedSignatureComesInAHeader) {
  const std::string bytes = room_.unsigned_bundle(TestRoom::manifest("com.example.hello", "1.0.0"));
  const auto envelope =
      *bundles::sign_content_hash(ContentHash::of(bytes), "com.example.hello", "1.0.0", {room_.key, {}});
  const std::string target = "/api/extensions/com.example.hello/versions";
  EXPECT_EQ(room_.upload(target, alices_, bytes, {{"x-bundle-signature", "?"}}).status, 400);
  EXPECT_EQ(room_.upload(target, alices_, bytes, {{"x-bundle-signature", base64_encode("{}")}}).code(),
            "signature_invalid");
  const auto published = room_.upload(target, alices_, bytes, {{"x-bundle-signature", base64_encode(envelope)}});
  ASSERT_EQ(published.status, 201) << json::serialize(published.body);
  EXPECT_EQ(*sql::wait(room_.blobs->get(signature_key(ContentHash::of(bytes)), 1_MiB)), envelope);
  EXPECT_TRUE(sql::wait(room_.stored.open(ContentHash::of(bytes))));
}

TEST_P(Publishing, BadUploadsAreRefusedAndLeaveNothing) {
  const std::string good = room_.hello("1.0.0");
  const auto code = [&](const std::string& bytes) { return room_.publish(alices_, bytes).code(); };
  EXPECT_EQ(code(""), "bundle_invalid");
  EXPECT_EQ(code(good.substr(0, good.size() / 2)), "bundle_invalid");
  EXPECT_EQ(code(good + "x"), "bundle_invalid");
  EXPECT_EQ(code(bundles::forge::archive({{"dist/main.wasm", bundles::forge::kModule}})), "MANIFEST_NOT_FOUND");
  EXPECT_EQ(code(room_.signed_bundle(TestRoom::manifest("com.example.hello", "1.0.0")).replace(10, 1, "~")),
            "bundle_invalid");
  const std::string other = room_.signed_bundle(TestRoom::manifest("com.example.other", "1.0.0"));
  EXPECT_EQ(room_.publish(alices_, other, "com.example.hello").code(), "unprocessable");
  EXPECT_EQ(room_.publish(alices_, good, "9f1c0b1e-0000-4000-8000-000000000000").code(), "not_found");
  EXPECT_EQ(room_
                .upload("/api/extensions/com.example.hello/versions", alices_, good,
                        {{"x-content-sha256", std::string(64, '0')}})
                .code(),
            "hash_mismatch");
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_registry"), 0);
  EXPECT_TRUE(sql::wait(room_.blobs->list("", 10))->empty());
  EXPECT_TRUE(std::filesystem::is_empty(room_.scratch.path("staging")));
}

TEST_P(Publishing, AModuleThatCannotBeUsedNeverBecomesAVersion) {
  const std::string text = TestRoom::manifest("com.example.hello", "1.0.0");
  const auto refused = room_.publish(alices_, room_.signed_bundle(text, "not wasm"));
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.code(), "module_rejected");
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_version"), 0);
  EXPECT_EQ(room_.publish(alices_, room_.signed_bundle(text)).status, 201);
}

TEST_P(Publishing, WithoutABlobStoreNothingBecomesVisibleAndLaterItWorks) {
  const std::string bytes = room_.hello("1.0.0");
  const std::string in_the_way = room_.scratch.path("blobs/sha256");
  std::ofstream(in_the_way) << "a file where a folder must be";
  EXPECT_GE(room_.publish(alices_, bytes).status, 400);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_version"), 0);
  std::filesystem::remove(in_the_way);
  EXPECT_EQ(room_.publish(alices_, bytes).status, 201);
}

TEST_P(Publishing, OfTwoAtOnceExactlyOneWins) {
  const std::string bytes = room_.hello("1.0.0");
  const auto publish = [&](const std::string& name) -> Task<Result<Published>> {
    TextBody body(bytes);
    BH_CO_TRY(ReceivedUpload upload, co_await room_.staging.receive(body, kMaxUpload, room_.pool));
    co_return co_await room_.publisher.publish({.actor = {"test", "", ""},
                                                .scope = room_.access.scope(alice_.id),
                                                .extension = name,
                                                .upload = std::move(upload),
                                                .detached_signature = std::nullopt,
                                                .expected_manifest = std::nullopt});
  };
  std::vector<std::string> outcomes;
  const auto run = [&](std::string name) -> Task<> {
    const auto published = co_await publish(name);
    outcomes.push_back(published ? "ok" : std::string(published.error().wire_code()));
  };
  for (int i = 0; i < 4; ++i) sql::start_task(run("com.example.hello"));
  sql::run_tasks();
  std::ranges::sort(outcomes);
  EXPECT_EQ(outcomes, (std::vector<std::string>{"EXTENSION_VERSION_ALREADY_EXISTS", "EXTENSION_VERSION_ALREADY_EXISTS",
                                                "EXTENSION_VERSION_ALREADY_EXISTS", "ok"}));
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM extension_version"), 1);
}

TEST_P(Publishing, PermissionsAndOrganizationsAreChecked) {
  const std::string bytes = room_.hello("1.0.0");
  EXPECT_EQ(room_.publish(room_.access.key_in(alice_.id, "viewer"), bytes).status, 403);
  EXPECT_EQ(room_.publish("", bytes).status, 401);
  EXPECT_EQ(room_.publish(access::kTestAdminToken, bytes).code(), "tenant_required");
  EXPECT_EQ(room_
                .upload("/api/extensions/com.example.hello/versions", access::kTestAdminToken, bytes,
                        {{"x-tenant-id", "alice"}})
                .status,
            201);
  EXPECT_EQ(room_.upload("/api/extensions/com.example.hello/versions", bobs_, bytes, {{"x-tenant-id", "alice"}}).code(),
            "tenant_mismatch");
}

TEST_P(Publishing, PrivateExtensionsAreSeenByTheirOwnerOnly) {
  EXPECT_EQ(
      room_.send(Method::kPost, "/api/extensions", alices_, {{"name", "com.example.hello"}, {"visibility", "private"}})
          .status,
      201);
  EXPECT_EQ(room_.send(Method::kPost, "/api/extensions", bobs_, {{"name", "com.example.hello"}}).code(),
            "name_claimed");
  EXPECT_EQ(room_.send(Method::kPost, "/api/extensions", alices_, {{"name", "com.example.hello"}}).code(),
            "already_exists");
  EXPECT_EQ(room_.send(Method::kPost, "/api/extensions", alices_, {{"name", "Hello"}}).code(), "unprocessable");
  ASSERT_EQ(room_.publish(alices_, room_.hello("1.0.0")).status, 201);
  const std::string one = "/api/extensions/com.example.hello";
  EXPECT_EQ(room_.send(Method::kGet, one, alices_).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, one, access::kTestAdminToken).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, one, bobs_).status, 404);
  EXPECT_EQ(room_.send(Method::kGet, one + "/versions", bobs_).status, 404);
  EXPECT_TRUE(room_.send(Method::kGet, "/api/extensions", bobs_).body.at("items").as_array().empty());
  EXPECT_EQ(room_.send(Method::kPost, "/api/installs", bobs_, {{"extension", "com.example.hello"}}).status, 404);
  EXPECT_EQ(room_.send(Method::kPatch, one, bobs_, {{"visibility", "public"}}).status, 404);
  EXPECT_EQ(room_.send(Method::kPatch, one, alices_, {{"visibility", "public"}}).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, one, bobs_).status, 200);
  EXPECT_EQ(room_.send(Method::kPatch, one, bobs_, {{"visibility", "private"}}).status, 404);
}

TEST_P(Publishing, DeprecatedVersionsWarnAndYankedOnesAreNotInstalledAnew) {
  ASSERT_EQ(room_.publish(alices_, room_.hello("1.0.0")).status, 201);
  ASSERT_EQ(room_.publish(alices_, room_.hello("1.1.0")).status, 201);
  ASSERT_EQ(room_.publish(alices_, room_.hello("2.0.0-rc.1")).status, 201);
  const std::string one = "/api/extensions/com.example.hello";
  EXPECT_EQ(room_.send(Method::kGet, one, alices_).text("/latest_version"), "1.1.0");
  const auto deprecated =
      room_.send(Method::kPost, one + "/versions/1.0.0/deprecate", alices_, {{"reason", "use 1.1"}});
  EXPECT_EQ(deprecated.text("/deprecated/reason"), "use 1.1");
  EXPECT_EQ(room_.send(Method::kPost, one + "/versions/1.0.0/deprecate", bobs_).status, 404);
  EXPECT_EQ(room_.send(Method::kPost, one + "/versions/9.9.9/deprecate", alices_).status, 404);
  EXPECT_EQ(room_.send(Method::kPost, one + "/versions/1.1.0/yank", alices_).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, one, alices_).text("/latest_version"), "1.0.0");
  EXPECT_EQ(
      room_.send(Method::kPost, "/api/installs", bobs_, {{"extension", "com.example.hello"}, {"version", "1.1.0"}})
          .code(),
      "version_yanked");
  EXPECT_EQ(room_.send(Method::kPost, one + "/versions/1.1.0/unyank", alices_).status, 200);
  EXPECT_EQ(room_.send(Method::kPost, "/api/installs", bobs_, {{"extension", "com.example.hello"}}).text("/version"),
            "1.1.0");
}

TEST_P(Publishing, StoredBundlesAreProvenAgainAtLoad) {
  const std::string bytes = room_.hello("1.0.0");
  const ContentHash hash = ContentHash::of(bytes);
  const auto code = [&] {
    const auto opened = sql::wait(room_.stored.open(hash));
    return opened ? "ok" : std::string(opened.error().wire_code());
  };
  EXPECT_EQ(code(), "bundle_fetch_failed");
  ASSERT_EQ(room_.publish(alices_, bytes).status, 201);
  EXPECT_EQ(code(), "ok");
  const auto entries = room_.send(Method::kGet, "/api/v1/trust", access::kTestAdminToken);
  ASSERT_EQ(room_.send(Method::kDelete, "/api/v1/trust/" + entries.text("/items/0/id"), access::kTestAdminToken).status,
            204);
  EXPECT_EQ(code(), "signature_invalid");
  // Bytes that were changed in the store, even if they are a good bundle.
  const std::string path = room_.scratch.path("blobs/" + bundle_key(hash));
  ::chmod(path.c_str(), 0644);
  std::ofstream(path, std::ios::binary) << room_.hello("1.0.1");
  EXPECT_EQ(code(), "archive_hash_mismatch");
  std::ofstream(path, std::ios::binary) << bytes.substr(0, 100);
  EXPECT_EQ(code(), "archive_hash_mismatch");
}

TEST(StagingFolder, RefusesMoreThanTheLimitAndLeavesNothing) {
  const bundles::ScratchFolder scratch;
  SystemRandom random;
  ThreadPool pool{1, 16};
  const auto staging = StagingFolder::open(scratch.path("staging"), random);
  TextBody body(std::string(300'000, 'x'), 70'000);
  const auto received = sql::wait(staging->receive(body, 299'999_B, pool));
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path("staging")));
  TextBody fitting(std::string(300'000, 'x'), 70'000);
  const auto whole = sql::wait(staging->receive(fitting, 300'000_B, pool));
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->content_hash, ContentHash::of(std::string(300'000, 'x')));
  EXPECT_EQ(whole->size, 300'000_B);
}

}  // namespace
}  // namespace bulkhead::extensions
