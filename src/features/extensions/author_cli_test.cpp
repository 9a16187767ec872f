// What the published author CLI sends, in its order, and trust.
#include <gtest/gtest.h>

#include "features/extensions/room_testing.h"

namespace bulkhead::extensions {
namespace {

using net::Method;

class AuthorCli : public testing::TestWithParam<sql::Engine> {
 protected:
  AuthorCli() { room_.trust_key(); }

  TestRoom::Answer stage(const std::string& bytes, const std::string& hash) {
    return room_.upload("/api/ext-bundles/upload-proxy?filename=bundle.tar.zst&size=" + std::to_string(bytes.size()) +
                            "&declaredHash=" + hash,
                        key_, bytes, headers());
  }
  TestRoom::Answer finalize(json::value body) {
    return room_.send(Method::kPost, "/api/ext-bundles/finalize", key_, std::move(body), headers());
  }
  std::vector<std::pair<std::string, std::string>> headers() const {
    return {{"x-tenant-id", organization_.id.to_string()}, {"x-alga-admin", "true"}};
  }

  TestRoom room_{GetParam()};
  access::Organization organization_ = room_.access.organization("alice");
  std::string key_ = room_.access.key_in(organization_.id);
  std::string manifest_ = TestRoom::manifest("com.example.hello", "1.0.0", {{"capabilities", {"storage.kv"}}});
};
INSTANTIATE_TEST_SUITE_P(Engines, AuthorCli, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

TEST_P(AuthorCli, PublishesInstallsAndUninstalls) {
  const std::string bytes = room_.signed_bundle(manifest_);
  const std::string hash = ContentHash::of(bytes).hex();
  const auto staged = stage(bytes, hash);
  ASSERT_EQ(staged.status, 200) << json::serialize(staged.body);
  const auto published = finalize({{"key", staged.text("/upload/key")},
                                   {"declaredHash", hash},
                                   {"size", bytes.size()},
                                   {"manifestJson", manifest_ + "\n"}});
  ASSERT_EQ(published.status, 200) << json::serialize(published.body);
  EXPECT_EQ(published.text("/contentHash"), "sha256:" + hash);
  const json::object asked{{"registryId", published.text("/extension/id")}, {"version", "1.0.0"}};
  const auto installed = room_.send(Method::kPost, "/api/v1/extensions/install", key_, asked, headers());
  ASSERT_EQ(installed.status, 200) << json::serialize(installed.body);
  const auto install = room_.send(Method::kGet, "/api/installs/" + installed.text("/data/installId"), key_);
  EXPECT_TRUE(install.body.at("granted_caps").as_array().empty()) << "granting stays explicit";
  EXPECT_EQ(room_.send(Method::kPost, "/api/v1/extensions/uninstall", key_, asked, headers()).status, 200);
  EXPECT_EQ(room_.send(Method::kPost, "/api/v1/extensions/uninstall", key_, asked, headers()).status, 404);
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM staged_upload"), 0);
  EXPECT_TRUE(sql::wait(room_.blobs->list("staging/", 10))->empty());
}

TEST_P(AuthorCli, RefusesWhatDoesNotFitWhatWasDeclared) {
  const std::string bytes = room_.signed_bundle(manifest_);
  const std::string hash = ContentHash::of(bytes).hex(), other(64, '0');
  EXPECT_EQ(stage(bytes, other).code(), "hash_mismatch");
  EXPECT_EQ(stage(bytes, "xyz").status, 400);
  const std::string key = stage(bytes, hash).text("/upload/key");
  EXPECT_EQ(finalize({{"key", key}, {"declaredHash", other}}).code(), "hash_mismatch");
  EXPECT_EQ(finalize({{"key", key}, {"size", 1}}).code(), "hash_mismatch");
  EXPECT_EQ(finalize({{"key", key}, {"manifestJson", "{}"}}).code(), "manifest_mismatch");
  EXPECT_EQ(finalize({{"key", key}, {"manifestJson", "{"}}).code(), "INVALID_MANIFEST");
  EXPECT_EQ(finalize({{"key", "staging/none"}}).code(), "STAGING_NOT_FOUND");
  EXPECT_EQ(finalize({{"key", "staging/" + Uuid::v4(room_.access.random).to_string()}}).code(), "STAGING_NOT_FOUND");
  EXPECT_EQ(finalize({{"key", "../../etc/passwd"}}).code(), "STAGING_NOT_FOUND");
  EXPECT_EQ(finalize({{"key", key}, {"manifestJson", *parse_json(manifest_)}}).status, 200);
}

TEST_P(AuthorCli, ItsPlaceholderSignatureIsNone) {
  ASSERT_TRUE(bundles::write_archive({{"manifest.json", manifest_},
                                      {"dist/main.wasm", std::string(bundles::forge::kModule)},
                                      {"SIGNATURE", std::string("unsigned-dev-placeholder")}},
                                     room_.scratch.path("placeholder")));
  const std::string bytes = slurp(room_.scratch.path("placeholder"));
  const auto refused = finalize({{"key", stage(bytes, ContentHash::of(bytes).hex()).text("/upload/key")}});
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.code(), "signature_required");
}

TEST_P(AuthorCli, BundlesWithoutAGoodManifestAreNamedSo) {
  const std::string none = bundles::forge::archive({{"dist/main.wasm", bundles::forge::kModule}});
  const std::string bad =
      bundles::forge::archive({{"dist/main.wasm", bundles::forge::kModule}, {"manifest.json", "{}"}});
  EXPECT_EQ(finalize({{"key", stage(none, ContentHash::of(none).hex()).text("/upload/key")}}).code(),
            "MANIFEST_NOT_FOUND");
  EXPECT_EQ(finalize({{"key", stage(bad, ContentHash::of(bad).hex()).text("/upload/key")}}).code(), "INVALID_MANIFEST");
}

TEST_P(AuthorCli, AnotherOrganizationCannotFinalizeOrAbort) {
  const std::string bytes = room_.signed_bundle(manifest_);
  const std::string key = stage(bytes, ContentHash::of(bytes).hex()).text("/upload/key");
  const std::string others = room_.access.key_in(room_.access.organization("bob").id);
  EXPECT_EQ(room_.send(Method::kPost, "/api/ext-bundles/finalize", others, {{"key", key}}).code(), "STAGING_NOT_FOUND");
  EXPECT_EQ(room_.send(Method::kPost, "/api/ext-bundles/abort", others, {{"key", key}}).code(), "STAGING_NOT_FOUND");
  EXPECT_EQ(room_.send(Method::kPost, "/api/ext-bundles/abort", key_, {{"key", key}}).status, 200);
  EXPECT_EQ(finalize({{"key", key}}).code(), "STAGING_NOT_FOUND");
}

TEST_P(AuthorCli, StagedUploadsGoAfterADay) {
  const std::string bytes = room_.signed_bundle(manifest_);
  const std::string key = stage(bytes, ContentHash::of(bytes).hex()).text("/upload/key");
  ASSERT_TRUE(sql::wait(room_.uploads.remove_expired()));
  EXPECT_EQ(sql::wait(room_.blobs->list("staging/", 10))->size(), 1U);
  room_.access.clock.advance(std::chrono::hours(25));
  ASSERT_TRUE(sql::wait(room_.uploads.remove_expired()));
  EXPECT_TRUE(sql::wait(room_.blobs->list("staging/", 10))->empty());
  EXPECT_EQ(finalize({{"key", key}}).code(), "STAGING_NOT_FOUND");
}

TEST_P(AuthorCli, OrganizationsTrustKeysForTheirOwnNamesOnly) {
  room_.key = bundles::PrivateKey::generate(bundles::KeyKind::kEd25519);
  const std::string pem = room_.key.public_key().to_pem();
  const auto add = [&](const std::string& token, json::array prefixes) {
    return room_.send(Method::kPost, "/api/v1/trust", token, {{"pem", pem}, {"prefixes", std::move(prefixes)}});
  };
  EXPECT_EQ(room_.publish(key_, room_.hello("1.0.0")).code(), "signer_untrusted");
  EXPECT_EQ(add(key_, {"*"}).status, 422);
  EXPECT_EQ(add(key_, {"com"}).status, 422);
  EXPECT_EQ(add(key_, {}).status, 422);
  EXPECT_EQ(add(room_.access.key_in(organization_.id, "developer"), {"com.example"}).status, 403);
  const auto added = add(key_, {"com.example"});
  ASSERT_EQ(added.status, 201) << json::serialize(added.body);
  EXPECT_EQ(add(key_, {"com.example"}).text("/id"), added.text("/id")) << "adding it again changes nothing";
  EXPECT_EQ(room_.publish(key_, room_.hello("1.0.0")).status, 201);

  const std::string bobs = room_.access.key_in(room_.access.organization("bob").id);
  EXPECT_EQ(add(bobs, {"com.example"}).code(), "forbidden") << "names under it belong to alice";
  EXPECT_EQ(room_.publish(bobs, room_.signed_bundle(TestRoom::manifest("com.example.bob", "1.0.0")), "com.example.bob")
                .code(),
            "signer_untrusted")
      << "alice's entry does not count for bob";
  EXPECT_EQ(room_.send(Method::kDelete, "/api/v1/trust/" + added.text("/id"), bobs).status, 404);

  EXPECT_EQ(room_.send(Method::kDelete, "/api/v1/trust/" + added.text("/id"), key_).status, 204);
  EXPECT_EQ(room_.publish(key_, room_.hello("1.1.0")).code(), "signer_untrusted");
  EXPECT_EQ(add(key_, {"com.example"}).status, 409) << "a revoked key stays revoked";
  EXPECT_FALSE(room_.send(Method::kGet, "/api/v1/trust", key_).body.at_pointer("/items/0/revoked_at").is_null());
  EXPECT_EQ(room_.count("SELECT COUNT(*) FROM outbox_event WHERE topic = 'trust.changed'"), 3);
}

TEST_P(AuthorCli, ThePlatformsTrustIsTheOperatorsAlone) {
  EXPECT_EQ(room_.send(Method::kGet, "/api/v1/trust", access::kTestAdminToken).body.at("items").as_array().size(), 1U);
  EXPECT_TRUE(room_.send(Method::kGet, "/api/v1/trust", key_).body.at("items").as_array().empty());
  EXPECT_EQ(room_.send(Method::kPost, "/api/v1/trust", access::kTestAdminToken, {{"pem", "x"}}).status, 422);
  EXPECT_EQ(room_.send(Method::kPost, "/api/v1/trust", "", {{"pem", "x"}}).status, 401);
}

}  // namespace
}  // namespace bulkhead::extensions
