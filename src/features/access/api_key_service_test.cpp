#include "features/access/api_key_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/access/api_key.h"
#include "features/access/room_testing.h"

namespace bulkhead::access {
namespace {

using testing::ElementsAre;

const Actor kActor{"key:test", "192.0.2.1", "r-1"};

class ApiKeyServiceTest : public testing::TestWithParam<sql::Engine> {
 protected:
  Result<IssuedApiKey> create(NewApiKey wanted, PrincipalPtr creator = nullptr) {
    return sql::wait(room_.api_keys.create(kActor, creator ? creator : room_.admin, scope_, std::move(wanted)));
  }
  Result<IssuedApiKey> rotate(ApiKeyId id, std::chrono::seconds overlap, PrincipalPtr creator = nullptr) {
    return sql::wait(room_.api_keys.rotate(kActor, creator ? creator : room_.admin, scope_, id, overlap));
  }
  Result<ApiKeyRecord> revoke(ApiKeyId id) { return sql::wait(room_.api_keys.revoke(kActor, scope_, id)); }
  std::vector<ApiKeyRecord> list() { return sql::wait(room_.api_keys.list(scope_, "", 100)).value(); }
  ApiKeyRecord stored(const ApiKeyId& id) {
    const auto all = list();
    const auto found = std::ranges::find(all, id, &ApiKeyRecord::id);
    BH_ASSERT(found != all.end());
    return *found;
  }
  std::vector<std::string> audited() {
    std::vector<std::string> actions;
    for (const auto& row :
         sql::wait(room_.database->read(scope_, [](sql::TenantTx& tx) { return list_audit(tx, {}, 100); })).value()) {
      actions.push_back(row.action);
    }
    return actions;
  }
  static NewApiKey wanted(std::string role) {
    return {.name = "ci", .role = std::move(role), .scopes = {}, .ip_allowlist = {}, .expires_at = {}};
  }
  PrincipalPtr principal(const std::string& role) {
    auto made = std::make_shared<Principal>();
    made->kind = PrincipalKind::kApiKey;
    made->tenant = scope_.tenant();
    made->permissions = permissions_of(role, {});
    return made;
  }

  TestRoom room_{GetParam()};
  TenantScope scope_ = room_.scope(room_.organization("acme").id);
};

TEST_P(ApiKeyServiceTest, ShowsTheTextOnceAndStoresOnlyItsHash) {
  const auto issued = create(wanted("developer"));
  ASSERT_TRUE(issued) << issued.error().to_log_string();
  EXPECT_TRUE(is_api_key(issued->text));
  EXPECT_TRUE(issued->text.starts_with(issued->record.hint));
  EXPECT_EQ(issued->record.hint.size(), 11U);
  const auto dump = sql::wait(room_.database->system_read([](sql::SystemTx& tx) {
                      return tx.query("SELECT hash, name, hint, role, ip_allowlist, created_by FROM api_key");
                    })).value();
  ASSERT_EQ(dump.size(), 1U);
  EXPECT_EQ(dump[0].text(0), ContentHash::of(issued->text).hex());
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(dump[0].text(i).find(issued->text), std::string::npos);
  EXPECT_THAT(audited(), ElementsAre("key.create"));
}

TEST_P(ApiKeyServiceTest, RefusesWhatIsNotValidAndNamesTheFields) {
  NewApiKey bad = wanted("root");
  bad.name = "";
  bad.scopes = {"extension:read", "nonsense"};
  bad.ip_allowlist = {"10.0.0.1/8"};
  bad.expires_at = UtcMicros{1};
  const auto refused = create(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnprocessable);
  std::vector<std::string> pointers;
  for (const auto& field : refused.error().fields) pointers.push_back(field.pointer);
  EXPECT_THAT(pointers, ElementsAre("/name", "/role", "/scopes/1", "/ip_allowlist/0", "/expires_at"));
  EXPECT_TRUE(list().empty());
}

TEST_P(ApiKeyServiceTest, NobodyHandsOnMoreThanTheyHave) {
  struct Case {
    const char* creator;
    const char* role;
    std::optional<std::vector<std::string>> scopes;
    bool allowed;
  };
  const Case cases[] = {
      {"owner", "owner", {}, true},
      {"admin", "owner", {}, false},
      {"admin", "admin", {}, true},
      {"admin", "developer", {}, true},
      {"viewer", "developer", {}, false},
      {"viewer", "viewer", {}, true},
      {"developer", "admin", {}, false},
      {"admin", "owner", {{"key:read"}}, true},
      {"viewer", "owner", {{"extension:read"}}, true},
      {"viewer", "owner", {{"extension:*"}}, false},
  };
  for (const Case& c : cases) {
    NewApiKey key = wanted(c.role);
    key.scopes = c.scopes;
    const auto made = create(key, principal(c.creator));
    EXPECT_EQ(made.has_value(), c.allowed) << c.creator << " makes " << c.role;
    if (!made) EXPECT_EQ(made.error().code, ErrorCode::kForbidden);
  }
}

TEST_P(ApiKeyServiceTest, RotationOverlapsAndThenOnlyTheNewKeyIsLeft) {
  NewApiKey key = wanted("developer");
  key.scopes = {"extension:read"};
  key.ip_allowlist = {"192.0.2.0/24"};
  const auto old = create(key).value();
  const auto next = rotate(old.record.id, std::chrono::hours(1));
  ASSERT_TRUE(next) << next.error().to_log_string();
  EXPECT_NE(next->text, old.text);
  EXPECT_EQ(next->record.rotated_from, old.record.id);
  EXPECT_EQ(next->record.scopes, old.record.scopes);
  EXPECT_EQ(next->record.ip_allowlist, old.record.ip_allowlist);
  EXPECT_FALSE(next->record.expires_at);
  EXPECT_EQ(stored(old.record.id).expires_at, room_.clock.now() + std::chrono::hours(1));
  EXPECT_EQ(status_of(stored(old.record.id), room_.clock.now()), "active");
  room_.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(status_of(stored(old.record.id), room_.clock.now()), "expired");
  EXPECT_EQ(status_of(stored(next->record.id), room_.clock.now()), "active");
  EXPECT_THAT(audited(), ElementsAre("key.rotate", "key.create"));
}

TEST_P(ApiKeyServiceTest, AnOverlapNeverProlongsAKey) {
  NewApiKey key = wanted("viewer");
  key.expires_at = room_.clock.now() + std::chrono::minutes(5);
  const auto old = create(key).value();
  ASSERT_TRUE(rotate(old.record.id, std::chrono::hours(24)));
  EXPECT_EQ(stored(old.record.id).expires_at, key.expires_at);
}

TEST_P(ApiKeyServiceTest, AKeyThatEndedCantBeRotated) {
  const auto key = create(wanted("viewer")).value();
  ASSERT_TRUE(revoke(key.record.id));
  EXPECT_EQ(rotate(key.record.id, std::chrono::hours(1)).error().code, ErrorCode::kConflict);
  const auto replaced = create(wanted("viewer")).value();
  ASSERT_TRUE(rotate(replaced.record.id, std::chrono::seconds(0)));
  EXPECT_EQ(rotate(replaced.record.id, std::chrono::seconds(0)).error().code, ErrorCode::kConflict);
}

// A rotation shows a working key: an admin who may not make an owner's key may not get one this way either.
TEST_P(ApiKeyServiceTest, RotationIsNoWayToMorePermissions) {
  const auto owner = create(wanted("owner")).value();
  EXPECT_EQ(rotate(owner.record.id, std::chrono::hours(1), principal("admin")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(list().size(), 1U);
}

TEST_P(ApiKeyServiceTest, RevokingTwiceIsTheSameAsOnce) {
  const auto key = create(wanted("viewer")).value();
  const auto first = revoke(key.record.id).value();
  room_.clock.advance(std::chrono::seconds(5));
  const auto second = revoke(key.record.id).value();
  EXPECT_EQ(first.revoked_at, second.revoked_at);
  EXPECT_THAT(audited(), ElementsAre("key.revoke", "key.create"));
}

TEST_P(ApiKeyServiceTest, OtherOrganizationsKeysDoNotExist) {
  const auto key = create(wanted("viewer")).value();
  const TenantScope other = room_.scope(room_.organization("other").id);
  EXPECT_EQ(sql::wait(room_.api_keys.revoke(kActor, other, key.record.id)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(sql::wait(room_.api_keys.rotate(kActor, room_.admin, other, key.record.id, {})).error().code,
            ErrorCode::kNotFound);
  EXPECT_TRUE(sql::wait(room_.api_keys.list(other, "", 100)).value().empty());
}

INSTANTIATE_TEST_SUITE_P(Engines, ApiKeyServiceTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::access
