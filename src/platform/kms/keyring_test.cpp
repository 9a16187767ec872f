#include "platform/kms/keyring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "platform/kms/aes_gcm.h"
#include "platform/kms/room_testing.h"
#include "platform/process/file.h"

namespace bulkhead::kms {
namespace {

class KeyringTest : public testing::Test {
 protected:
  process::TemporaryDirectory folder_ = *process::TemporaryDirectory::create("keyring");
  std::string path_ = folder_.path() + "/keyring.json";
  SystemRandom random_;
};

TEST_F(KeyringTest, IsMadeOnceForItsUserAlone) {
  EXPECT_EQ(Keyring::load(path_).error().code, ErrorCode::kNotFound);
  const auto made = Keyring::create(path_, random_);
  ASSERT_TRUE(made.has_value()) << made.error().to_log_string();
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(made->current(), 1U);
  EXPECT_EQ(made->find(made->current_kid())->size(), kKeySize);
  const auto again = Keyring::create(path_, random_);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->current_kid(), made->current_kid());
  EXPECT_EQ(again->find(made->current_kid())->view(), made->find(made->current_kid())->view());
}

TEST_F(KeyringTest, AFileThatOthersMayReadIsRefused) {
  ASSERT_TRUE(Keyring::create(path_, random_).has_value());
  for (const mode_t mode : {0640U, 0604U, 0660U}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    const auto loaded = Keyring::load(path_);
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, ErrorCode::kKeyUnavailable);
    EXPECT_NE(loaded.error().message.find("chmod 600"), std::string::npos);
  }
}

TEST_F(KeyringTest, RotationKeepsOldVersionsUntilTheyAreDropped) {
  Keyring keyring = Keyring::generate(random_);
  const std::string first = keyring.current_kid();
  keyring.add_version(random_);
  EXPECT_EQ(keyring.current(), 2U);
  EXPECT_NE(keyring.current_kid(), first);
  EXPECT_NE(keyring.find(first), nullptr);
  EXPECT_NE(keyring.find(first)->view(), keyring.find(keyring.current_kid())->view());
  ASSERT_TRUE(keyring.save(path_).has_value());
  Keyring loaded = *Keyring::load(path_);
  EXPECT_EQ(loaded.current_kid(), keyring.current_kid());
  EXPECT_EQ(loaded.find(first)->view(), keyring.find(first)->view());
  EXPECT_EQ(loaded.drop_version(2).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(loaded.drop_version(1).has_value());
  EXPECT_EQ(loaded.find(first), nullptr);
  EXPECT_EQ(loaded.drop_version(1).error().code, ErrorCode::kNotFound);
}

TEST_F(KeyringTest, FindsOnlyItsOwnKids) {
  const Keyring keyring = *Keyring::parse(kGoldenKeyring, "the test");
  EXPECT_NE(keyring.find("local-00112233:1"), nullptr);
  for (const char* kid : {"", ":", "local-00112233", "local-00112233:", "local-00112233:2", "local-0011223:1",
                          "local-001122334:1", "local-00112233:1x", "local-00112233:-1", "local-00112233:4294967297"}) {
    EXPECT_EQ(keyring.find(kid), nullptr) << kid;
  }
}

TEST_F(KeyringTest, AMalformedDocumentSaysWhatIsWrongAndNeverAKey) {
  const std::string key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const auto with = [&](const std::string& members) { return "{\"v\":1," + members + "}"; };
  const std::string one = R"({"version":1,"key":")" + key + "\"}";
  const std::string cases[] = {
      "",
      "not json " + key,
      "[]",
      with(R"("id":"local-1","current":1)"),
      with(R"("id":"local-1","current":2,"keys":[)" + one + "]"),
      with(R"("id":"local-1","current":1,"keys":[)" + one + "," + one + "]"),
      with(R"("id":"local 1","current":1,"keys":[)" + one + "]"),
      with(R"("id":"","current":1,"keys":[)" + one + "]"),
      with(R"("id":"local-1","current":1,"more":1,"keys":[)" + one + "]"),
      with(R"("id":"local-1","current":1,"keys":[{"version":1,"key":")" + key.substr(1) + "\"}]"),
      with(R"("id":"local-1","current":1,"keys":[{"version":0,"key":")" + key + "\"}]"),
      with(R"("id":"local-1","current":1,"keys":[{"version":1,"secret":")" + key + "\"}]"),
      R"({"id":"local-1","current":1,"keys":[)" + one + "]}",
  };
  for (const std::string& document : cases) {
    const auto parsed = Keyring::parse(document, "the test");
    ASSERT_FALSE(parsed.has_value()) << document;
    EXPECT_EQ(parsed.error().code, ErrorCode::kKeyUnavailable);
    EXPECT_EQ(parsed.error().to_log_string().find(key.substr(1)), std::string::npos);
    EXPECT_NE(parsed.error().message.find("the test"), std::string::npos);
  }
}

}  // namespace
}  // namespace bulkhead::kms
