#include "features/access/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/access/room_testing.h"

namespace bulkhead::access {
namespace {

using net::Method;

class AccessRoutesTest : public testing::TestWithParam<sql::Engine> {
 protected:
  json::value post(const std::string& target, const std::string& token, const std::string& body, int status) {
    const auto response = room_.send(Method::kPost, target, token, body);
    EXPECT_EQ(response.status, status) << response.body;
    return room_.json_of(response);
  }
  json::value get(const std::string& target, const std::string& token, int status = 200) {
    const auto response = room_.send(Method::kGet, target, token);
    EXPECT_EQ(response.status, status) << response.body;
    return room_.json_of(response);
  }
  static std::string text(const json::value& value, std::string_view name) {
    return std::string(value.at(name).as_string());
  }
  TestRoom room_{GetParam()};
};

TEST_P(AccessRoutesTest, FromTheAdminTokenToAWorkingKey) {
  const auto made = room_.send(Method::kPost, "/api/v1/orgs", kTestAdminToken, R"({"slug":"acme","name":"Acme"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.headers.find("location"), "/api/v1/orgs/acme");
  EXPECT_EQ(made.headers.find("etag"), "\"1\"");
  const auto issued = post("/api/v1/orgs/acme/api-keys", kTestAdminToken, R"({"name":"ci","role":"owner"})", 201);
  const std::string key = text(issued, "key");
  const auto me = get("/api/v1/me", key);
  EXPECT_EQ(text(me, "kind"), "api_key");
  EXPECT_EQ(text(me.at("organization"), "slug"), "acme");
  EXPECT_EQ(text(get("/api/v1/orgs/acme", key), "name"), "Acme");
  EXPECT_EQ(get("/api/v1/orgs", key).at("items").as_array().size(), 1U);
}

TEST_P(AccessRoutesTest, OrganizationsAreCheckedAndUnique) {
  const auto create = [&](const std::string& body) {
    return room_.send(Method::kPost, "/api/v1/orgs", kTestAdminToken, body).status;
  };
  EXPECT_EQ(create(R"({"slug":"acme","name":"Acme"})"), 201);
  EXPECT_EQ(create(R"({"slug":"acme","name":"Other"})"), 409);
  EXPECT_EQ(create(R"({"slug":"Acme","name":"x"})"), 422);
  EXPECT_EQ(create(R"({"slug":"a--b","name":"x"})"), 422);
  EXPECT_EQ(create(R"({"slug":"ok","name":""})"), 422);
  EXPECT_EQ(create(R"({"slug":"ok"})"), 422);
  EXPECT_EQ(create(R"({"slug":"ok","name":"x","colour":"red"})"), 422);
  EXPECT_EQ(create(R"([])"), 422);
  EXPECT_EQ(create(R"({"slug":)"), 400);
  net::Request no_type;
  no_type.method = Method::kPost;
  no_type.target = "/api/v1/orgs";
  no_type.headers.add("authorization", std::string("Bearer ") + kTestAdminToken);
  no_type.body = R"({"slug":"ok","name":"x"})";
  EXPECT_EQ(room_.send(no_type).status, 415);
}

TEST_P(AccessRoutesTest, OnlyThePlatformMakesOrganizations) {
  const std::string owner = room_.key_in(room_.organization("acme").id, "owner");
  post("/api/v1/orgs", owner, R"({"slug":"mine","name":"x"})", 403);
}

TEST_P(AccessRoutesTest, AnotherOrganizationLooksLikeNone) {
  const std::string owner = room_.key_in(room_.organization("acme").id, "owner");
  room_.organization("secret-project");
  for (const char* slug : {"secret-project", "never-made", "NOT-A-SLUG"}) {
    const std::string base = "/api/v1/orgs/" + std::string(slug);
    const auto response = room_.send(Method::kGet, base, owner);
    EXPECT_EQ(response.status, 404) << slug;
    EXPECT_EQ(text(room_.json_of(response), "detail"), "There is no such organization.") << slug;
    EXPECT_EQ(room_.send(Method::kGet, base + "/api-keys", owner).status, 404);
    EXPECT_EQ(room_.send(Method::kGet, base + "/audit", owner).status, 404);
    EXPECT_EQ(room_.send(Method::kPost, base + "/api-keys", owner, R"({"name":"x","role":"viewer"})").status, 404);
  }
}

// Every route of the room, for every built-in role: the table of who may.
TEST_P(AccessRoutesTest, RoleTable) {
  const TenantId acme = room_.organization("acme").id;
  const std::string spare = room_.key_in(acme, "viewer");
  const auto keys = get("/api/v1/orgs/acme/api-keys", kTestAdminToken);
  const std::string id = text(keys.at("items").at(0), "id");
  struct Case {
    Method method;
    std::string target;
    std::string body;
    std::vector<std::string> allowed;
  };
  const std::vector<std::string> all = {"owner", "admin", "developer", "billing", "viewer"};
  const std::vector<std::string> admins = {"owner", "admin"};
  const std::string org = "/api/v1/orgs/acme";
  const Case cases[] = {
      {Method::kGet, "/api/v1/me", "", all},
      {Method::kGet, "/api/v1/orgs", "", all},
      {Method::kGet, org, "", all},
      {Method::kPatch, org, R"({"name":"New"})", admins},
      {Method::kPost, org + "/api-keys", R"({"name":"x","role":"viewer"})", admins},
      {Method::kGet, org + "/api-keys", "", admins},
      {Method::kPost, org + "/api-keys/" + id + "/rotate", "", {"owner"}},  // once: then it has ended
      {Method::kPost, org + "/api-keys/" + id + "/revoke", "", admins},
      {Method::kGet, org + "/audit", "", admins},
  };
  for (const std::string& role : all) {
    const std::string key = room_.key_in(acme, role);
    for (const Case& c : cases) {
      const bool rotates = c.target.ends_with("/rotate");
      const std::string body = rotates ? R"({"overlap_seconds":0})" : c.body;
      const int status = room_.send(c.method, c.target, key, body).status;
      const bool allowed = std::ranges::find(c.allowed, role) != c.allowed.end();
      const bool admin = std::ranges::find(admins, role) != admins.end();
      const int expected = allowed ? (status == 201 ? 201 : 200) : rotates && admin ? 409 : 403;
      EXPECT_EQ(status, expected) << role << " " << net::to_string(c.method) << " " << c.target;
    }
  }
}

TEST_P(AccessRoutesTest, RenamingNeedsTheRightETagWhenOneIsSent) {
  const std::string owner = room_.key_in(room_.organization("acme").id, "owner");
  const auto rename = [&](const char* etag, const char* name) {
    net::Request request;
    request.method = Method::kPatch;
    request.target = "/api/v1/orgs/acme";
    request.headers.add("x-api-key", owner);
    request.headers.add("content-type", "application/json; charset=utf-8");
    if (*etag != '\0') request.headers.add("if-match", etag);
    request.body = std::string(R"({"name":")") + name + "\"}";
    return room_.send(request);
  };
  const auto first = rename("\"1\"", "One");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.headers.find("etag"), "\"2\"");
  EXPECT_EQ(rename("\"1\"", "Two").status, 412);
  EXPECT_EQ(rename("nonsense", "Two").status, 400);
  EXPECT_EQ(rename("", "Three").status, 200);
  EXPECT_EQ(rename("*", "Four").status, 200);
  EXPECT_EQ(text(get("/api/v1/orgs/acme", owner), "name"), "Four");
}

TEST_P(AccessRoutesTest, RotateAndRevoke) {
  const TenantId acme = room_.organization("acme").id;
  const std::string owner = room_.key_in(acme, "owner");
  const auto issued = post("/api/v1/orgs/acme/api-keys", owner,
                           R"({"name":"ci","role":"developer","scopes":["extension:read"],
                               "ip_allowlist":["192.0.2.0/24"],"expires_at":"2099-01-01T00:00:00Z"})",
                           201);
  const std::string base = "/api/v1/orgs/acme/api-keys/" + text(issued, "id");
  const auto next = post(base + "/rotate", owner, R"({"overlap_seconds":60})", 201);
  EXPECT_EQ(text(next, "rotated_from"), text(issued, "id"));
  get("/api/v1/me", text(issued, "key"));
  get("/api/v1/me", text(next, "key"));
  const auto revoked = post(base + "/revoke", owner, "", 200);
  EXPECT_EQ(text(revoked, "status"), "revoked");
  EXPECT_FALSE(revoked.as_object().contains("key"));
  get("/api/v1/me", text(issued, "key"), 401);
  get("/api/v1/me", text(next, "key"));
  post(base + "/rotate", owner, "", 409);
  post(base + "/rotate", owner, R"({"overlap_seconds":99999999})", 422);
  post("/api/v1/orgs/acme/api-keys/nonsense/revoke", owner, "", 404);
}

TEST_P(AccessRoutesTest, ListsPageByCursor) {
  for (const char* slug : {"aa", "bb", "cc", "dd", "ee"}) room_.organization(slug);
  std::vector<std::string> seen;
  std::string cursor;
  do {
    const auto page = get("/api/v1/orgs?limit=2&cursor=" + cursor, kTestAdminToken);
    for (const auto& item : page.at("items").as_array()) seen.push_back(text(item, "slug"));
    cursor = page.at("next_cursor").is_null() ? "" : text(page, "next_cursor");
  } while (!cursor.empty());
  EXPECT_THAT(seen, testing::ElementsAre("aa", "bb", "cc", "dd", "ee"));
  for (const char* query : {"limit=0", "limit=201", "limit=x", "limit=", "cursor=!!", "cursor=AAAA", "limit=%zz"}) {
    get(std::string("/api/v1/orgs?") + query, kTestAdminToken, 400);
  }
}

TEST_P(AccessRoutesTest, TheAuditLogTellsWhatHappenedAndByWhom) {
  const TenantId acme = room_.organization("acme").id;
  const std::string owner = room_.key_in(acme, "owner");
  const std::string viewer = room_.key_in(acme, "viewer");
  const auto me = get("/api/v1/me", owner);
  room_.send(Method::kPatch, "/api/v1/orgs/acme", owner, R"({"name":"New"})");
  post("/api/v1/orgs/acme/api-keys", viewer, R"({"name":"x","role":"owner"})", 403);
  ASSERT_TRUE(sql::wait(room_.denials.write()));
  const auto page = get("/api/v1/orgs/acme/audit?limit=2", owner);
  const auto& denied = page.at("items").at(0);
  EXPECT_EQ(text(denied, "action"), "key:create");
  EXPECT_EQ(text(denied, "outcome"), "denied");
  EXPECT_EQ(text(denied, "ip"), "192.0.2.1");
  EXPECT_EQ(text(denied.at("after"), "reason"), "missing_permission");
  const auto& renamed = page.at("items").at(1);
  EXPECT_EQ(text(renamed, "action"), "organization.update");
  EXPECT_EQ(text(renamed, "actor"), text(me, "credential_id"));
  EXPECT_EQ(text(renamed.at("before"), "name"), "acme");
  EXPECT_EQ(text(renamed.at("after"), "name"), "New");
  const auto rest = get("/api/v1/orgs/acme/audit?cursor=" + text(page, "next_cursor"), owner);
  EXPECT_EQ(rest.at("items").as_array().size(), 2U) << "the two keys";
  EXPECT_TRUE(rest.at("next_cursor").is_null());
}

TEST_P(AccessRoutesTest, AnUnreachableStoreIs503) {
  const std::string owner = room_.key_in(room_.organization("acme").id, "owner");
  get("/api/v1/me", owner);
  room_.database->close();
  EXPECT_EQ(room_.send(Method::kGet, "/api/v1/orgs/acme", owner).status, 503);
  EXPECT_EQ(room_.send(Method::kGet, "/api/v1/me", owner).status, 200) << "cached";
}

class TenantResolverTest : public AccessRoutesTest {
 protected:
  Result<TenantId> resolve(PrincipalPtr principal, const std::string& header) {
    net::Request request;
    if (!header.empty()) request.headers.add("x-tenant-id", header);
    RouteContext context{.request = request,
                         .principal = std::move(principal),
                         .request_id = "r",
                         .trace_parent = "",
                         .route = "/test",
                         .params = {},
                         .client = {}};
    return sql::wait(room_.tenants.resolve(context));
  }
};

TEST_P(TenantResolverTest, ResolveTable) {
  const Organization acme = room_.organization("acme"), other = room_.organization("other");
  auto key = std::make_shared<Principal>();
  key->kind = PrincipalKind::kApiKey;
  key->tenant = acme.id;
  key->tenant_slug = "acme";
  EXPECT_EQ(resolve(key, ""), acme.id);
  EXPECT_EQ(resolve(key, "acme"), acme.id);
  EXPECT_EQ(resolve(key, acme.id.to_string()), acme.id);
  EXPECT_EQ(resolve(key, "other").error().code, ErrorCode::kTenantMismatch);
  EXPECT_EQ(resolve(key, other.id.to_string()).error().code, ErrorCode::kTenantMismatch);
  EXPECT_EQ(resolve(key, "never-made").error().code, ErrorCode::kTenantMismatch);
  EXPECT_EQ(resolve(room_.admin, "").error().code, ErrorCode::kTenantRequired);
  EXPECT_EQ(resolve(room_.admin, "other"), other.id);
  EXPECT_EQ(resolve(room_.admin, other.id.to_string()), other.id);
  EXPECT_EQ(resolve(room_.admin, "never-made").error().code, ErrorCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Engines, AccessRoutesTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);
INSTANTIATE_TEST_SUITE_P(Engines, TenantResolverTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::access
