#include "platform/kms/envelopes.h"

#include <gtest/gtest.h>

#include "platform/kms/room_testing.h"

namespace bulkhead::kms {
namespace {

Place place_of(const TenantId& tenant) {
  return {.table = "extension_secret", .column = "value", .row = "install/api_key", .tenant = tenant};
}

// Counts what is asked of the driver.
class CountingKms final : public Kms {
 public:
  CountingKms(Keyring keyring, Random& random) : inner_(std::move(keyring), random) {}
  std::string current_kid() const override { return inner_.current_kid(); }
  Task<Result<WrappedKey>> wrap(SecretString data_key, std::string binding) override {
    ++wraps;
    return inner_.wrap(std::move(data_key), std::move(binding));
  }
  Task<Result<SecretString>> unwrap(WrappedKey wrapped, std::string binding) override {
    ++unwraps;
    return inner_.unwrap(std::move(wrapped), std::move(binding));
  }
  int wraps = 0;
  int unwraps = 0;

 private:
  LocalKms inner_;
};

class EnvelopesTest : public testing::Test {
 protected:
  Keyring copy_of_keyring() { return *Keyring::parse(kGoldenKeyring, "the test"); }
  std::string seal(Envelopes& envelopes, const Place& place, std::string_view value) {
    auto text = run_now(envelopes.seal(place, SecretString(value)));
    BH_ASSERT(text.has_value());
    return *text;
  }
  std::string open(Envelopes& envelopes, const Place& place, const std::string& text) {
    const auto value = run_now(envelopes.open(place, text));
    return value ? std::string(value->view()) : "refused: " + std::string(value.error().wire_code());
  }

  ManualClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  CountingKms kms_{copy_of_keyring(), random_};
  Envelopes envelopes_{{kms_, clock_, random_, registry_}};
  TenantId tenant_ = TenantId::v4(random_);
  Place place_ = place_of(tenant_);
};

constexpr const char* kRefused = "refused: envelope_invalid";

TEST_F(EnvelopesTest, OpensWhatAnotherImplementationSealed) {
  EXPECT_EQ(open(envelopes_, golden_place(), kGoldenEnvelope), kGoldenValue);
}

TEST_F(EnvelopesTest, OpensWhatItSealed) {
  for (const std::string& value : {std::string(), std::string("hunter2"), std::string(kMaxPlaintext, 'v')}) {
    const std::string text = seal(envelopes_, place_, value);
    EXPECT_EQ(open(envelopes_, place_, text), value);
    EXPECT_TRUE(value.empty() || text.find(value) == std::string::npos);
  }
  EXPECT_NE(seal(envelopes_, place_, "same"), seal(envelopes_, place_, "same")) << "each has an IV of its own";
  const auto too_large = run_now(envelopes_.seal(place_, SecretString(std::string(kMaxPlaintext + 1, 'v'))));
  EXPECT_EQ(too_large.error().code, ErrorCode::kPayloadTooLarge);
}

TEST_F(EnvelopesTest, AnEnvelopeCopiedElsewhereDoesNotOpen) {
  const std::string text = seal(envelopes_, place_, "hunter2");
  Place other = place_;
  other.row = "install/api_key2";
  EXPECT_EQ(open(envelopes_, other, text), kRefused);
  other = place_;
  other.column = "name";
  EXPECT_EQ(open(envelopes_, other, text), kRefused);
  other = place_;
  other.table = "extension_other";
  EXPECT_EQ(open(envelopes_, other, text), kRefused);
  other = place_of(TenantId::v4(random_));
  EXPECT_EQ(open(envelopes_, other, text), kRefused);
  // Members may not slide into their neighbours either.
  other = place_;
  other.table += "v";
  other.column = "alue";
  EXPECT_EQ(open(envelopes_, other, text), kRefused);
  EXPECT_EQ(open(envelopes_, place_, text), "hunter2");
}

TEST_F(EnvelopesTest, AnotherTenantsEnvelopeDoesNotOpenEvenWithThisTenantsKey) {
  const TenantId neighbour = TenantId::v4(random_);
  const Envelope mine = *parse_envelope(seal(envelopes_, place_, "mine"));
  Envelope forged = *parse_envelope(seal(envelopes_, place_of(neighbour), "theirs"));
  forged.wrapped_key = mine.wrapped_key;
  EXPECT_EQ(open(envelopes_, place_, to_text(forged)), kRefused);
  EXPECT_EQ(open(envelopes_, place_of(neighbour), to_text(forged)), kRefused);
}

TEST_F(EnvelopesTest, NoChangedCharacterOpens) {
  const std::string text = seal(envelopes_, place_, "hunter2");
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'A', 'B', '1', '"', '\\', '\0'}) {
      if (text[at] == c) continue;
      std::string changed = text;
      changed[at] = c;
      // A kid that is no longer ours is a missing key; everything else is damage.
      const std::string outcome = open(envelopes_, place_, changed);
      EXPECT_TRUE(outcome == kRefused || outcome == "refused: key_unavailable") << at << ": " << changed;
    }
  }
}

TEST_F(EnvelopesTest, NoChangedBitOfAMemberOpens) {
  const Envelope good = *parse_envelope(seal(envelopes_, place_, "hunter2"));
  const auto refused = [&](const Envelope& changed) { return open(envelopes_, place_, to_text(changed)) == kRefused; };
  const auto flip = [](auto& bytes, std::size_t bit) {
    bytes[bit / 8] = static_cast<std::remove_reference_t<decltype(bytes[0])>>(bytes[bit / 8] ^ (1 << (bit % 8)));
  };
  const auto check = [&](auto Envelope::* member) {
    for (std::size_t bit = 0; bit < (good.*member).size() * 8; ++bit) {
      Envelope changed = good;
      flip(changed.*member, bit);
      EXPECT_TRUE(refused(changed)) << bit;
    }
  };
  check(&Envelope::wrapped_key);
  check(&Envelope::iv);
  check(&Envelope::ciphertext);
  check(&Envelope::tag);
}

TEST_F(EnvelopesTest, AnotherKeyringDoesNotOpen) {
  const std::string text = seal(envelopes_, place_, "hunter2");
  LocalKms stranger{Keyring::generate(random_), random_};
  Envelopes elsewhere{{stranger, clock_, random_, registry_}};
  EXPECT_EQ(open(elsewhere, place_, text), "refused: key_unavailable");
  // The same name with other bytes.
  std::string document = kGoldenKeyring;
  document.replace(document.find("AAEC"), 4, "BBBB");
  LocalKms impostor{*Keyring::parse(document, "the test"), random_};
  Envelopes forged{{impostor, clock_, random_, registry_}};
  EXPECT_EQ(open(forged, place_, text), kRefused);
}

TEST_F(EnvelopesTest, AsksTheKmsOncePerTenantAndEpoch) {
  const std::string first = seal(envelopes_, place_, "1");
  for (int i = 0; i < 10; ++i) open(envelopes_, place_, seal(envelopes_, place_, "2"));
  EXPECT_EQ(kms_.wraps, 1);
  EXPECT_EQ(kms_.unwraps, 0);
  seal(envelopes_, place_of(TenantId::v4(random_)), "3");
  EXPECT_EQ(kms_.wraps, 2);
  Envelopes restarted{{kms_, clock_, random_, registry_}};
  open(restarted, place_, first);
  EXPECT_FALSE(!restarted.open_now(place_, first)) << "the key is at hand now";
  open(restarted, place_, first);
  EXPECT_EQ(kms_.unwraps, 1);
}

TEST_F(EnvelopesTest, AnEpochEndsByUsesBytesAndTime) {
  Envelopes envelopes{{kms_, clock_, random_, registry_},
                      {.uses = 3, .sealed = 100_B, .epoch = Millis(60'000), .keep_opened = Millis(1'000)}};
  const auto key_of = [&](std::size_t size) {
    return parse_envelope(seal(envelopes, place_, std::string(size, 'v')))->wrapped_key;
  };
  const std::string first = key_of(1);
  EXPECT_EQ(key_of(1), first);
  EXPECT_EQ(key_of(1), first);
  const std::string second = key_of(1);
  EXPECT_NE(second, first) << "three uses";
  EXPECT_EQ(key_of(98), second);
  const std::string third = key_of(2);
  EXPECT_NE(third, second) << "100 bytes";
  clock_.advance(std::chrono::seconds(61));
  EXPECT_NE(key_of(1), third) << "a minute";
}

TEST_F(EnvelopesTest, CachedKeysLeaveMemoryInTimeAndAreBounded) {
  ManualClock clock;
  DataKeys keys(clock, {.opened = 16, .keep_opened = Millis(1'000)});
  const auto key = std::make_shared<const SecretString>(std::string_view("key"));
  for (int i = 0; i < 1000; ++i) keys.keep(tenant_, {"k:1", std::to_string(i)}, key);
  EXPECT_LE(keys.size(), 16U);
  EXPECT_EQ(keys.find(tenant_, "k:1", "999"), key);
  EXPECT_EQ(keys.find(TenantId::v4(random_), "k:1", "999"), nullptr) << "a key serves one tenant";
  EXPECT_EQ(keys.find(tenant_, "k:2", "999"), nullptr);
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(keys.find(tenant_, "k:1", "999"), nullptr);
  keys.drop_expired();
  EXPECT_EQ(keys.size(), 0U);
  EXPECT_EQ(key.use_count(), 1) << "nobody holds it any more, so it would have been wiped";
}

TEST_F(EnvelopesTest, RewrappingChangesTheKeyAroundTheDataKeyOnly) {
  const std::string text = seal(envelopes_, place_, "hunter2");
  EXPECT_EQ(*run_now(envelopes_.rewrap(place_, text)), text) << "current already";
  Keyring rotated = copy_of_keyring();
  rotated.add_version(random_);
  LocalKms kms{std::move(rotated), random_};
  Envelopes after{{kms, clock_, random_, registry_}};
  EXPECT_EQ(open(after, place_, text), "hunter2") << "old versions open";
  const auto rewrapped = run_now(after.rewrap(place_, text));
  ASSERT_TRUE(rewrapped.has_value());
  const Envelope old_one = *parse_envelope(text), new_one = *parse_envelope(*rewrapped);
  EXPECT_EQ(*kid_of(*rewrapped), "local-00112233:2");
  EXPECT_NE(new_one.wrapped_key, old_one.wrapped_key);
  EXPECT_EQ(new_one.ciphertext, old_one.ciphertext);
  EXPECT_EQ(new_one.iv, old_one.iv);
  EXPECT_EQ(open(after, place_, *rewrapped), "hunter2");
  EXPECT_EQ(*kid_of(seal(after, place_, "new")), "local-00112233:2") << "the new version seals";
  Place other = place_;
  other.row = "elsewhere";
  EXPECT_EQ(run_now(after.rewrap(other, text)).error().code, ErrorCode::kEnvelopeInvalid);
}

TEST_F(EnvelopesTest, ReencryptingReplacesTheDataKey) {
  const std::string text = seal(envelopes_, place_, "hunter2");
  const auto again = run_now(envelopes_.reencrypt(place_, text));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(open(envelopes_, place_, *again), "hunter2");
  const Envelope before = *parse_envelope(text), after = *parse_envelope(*again);
  EXPECT_NE(after.wrapped_key, before.wrapped_key);
  EXPECT_NE(after.ciphertext, before.ciphertext);
}

}  // namespace
}  // namespace bulkhead::kms
