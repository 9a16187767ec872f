#include "platform/kms/envelope.h"

#include <gtest/gtest.h>

#include "platform/kms/cbor.h"
#include "platform/kms/room_testing.h"

namespace bulkhead::kms {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  BH_ASSERT(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(Cbor, WritesTheShortestForm) {  // RFC 8949, appendix A
  const auto unsigned_of = [](std::uint64_t value) {
    std::string out;
    append_cbor_unsigned(out, value);
    return hex_encode(out);
  };
  EXPECT_EQ(unsigned_of(0), "00");
  EXPECT_EQ(unsigned_of(23), "17");
  EXPECT_EQ(unsigned_of(24), "1818");
  EXPECT_EQ(unsigned_of(255), "18ff");
  EXPECT_EQ(unsigned_of(1000), "1903e8");
  EXPECT_EQ(unsigned_of(1'000'000), "1a000f4240");
  EXPECT_EQ(unsigned_of(1'000'000'000'000), "1b000000e8d4a51000");
  EXPECT_EQ(unsigned_of(UINT64_MAX), "1bffffffffffffffff");
  std::string text;
  append_cbor_array(text, 2);
  append_cbor_text(text, "IETF");
  append_cbor_text(text, "\xC3\xBC");
  EXPECT_EQ(hex_encode(text), "82644945544662c3bc");
}

TEST(Envelope, AssociatedDataIsTheContractsArray) {
  EXPECT_EQ(hex_encode(associated_data(golden_place())),
            "8601674132353647434d70657874656e73696f6e5f7365637265746976616c75655f656e63782c"
            "30643963386237612d366635652d346433632d386232612d3139303830373036303530342f6170695f6b6579"
            "782437663363316135322d396230652d346331312d386437612d326635653662396330643431");
}

TEST(Envelope, IsReadAndWrittenInItsOneForm) {
  const auto envelope = parse_envelope(kGoldenEnvelope);
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->kid, "local-00112233:1");
  EXPECT_EQ(envelope->wrapped_key.size(), 60U);
  EXPECT_EQ(envelope->ciphertext.size(), 12U);
  EXPECT_EQ(to_text(*envelope), kGoldenEnvelope);
}

TEST(Envelope, TakesMembersInAnyOrderAndWhiteSpace) {
  const auto plain = parse_envelope(kGoldenEnvelope);
  const std::string spaced =
      replaced(replaced(kGoldenEnvelope, R"({"v":1,)", "\n{ "), R"("iv")", R"("v" : 1 , "iv")") + " ";
  const auto found = parse_envelope(spaced);
  ASSERT_TRUE(found.has_value()) << found.error().to_log_string();
  EXPECT_EQ(*found, *plain);
}

TEST(Envelope, RefusesEverythingElse) {
  const std::string good = kGoldenEnvelope;
  const std::string cases[] = {
      "",
      "{}",
      "[]",
      "null",
      good.substr(0, good.size() - 1),
      good + "}",
      good + "x",
      replaced(good, R"({"v":1,)", "{"),
      replaced(good, R"("v":1)", R"("v":2)"),
      replaced(good, R"("v":1)", R"("v":"1")"),
      replaced(good, R"("v":1)", R"("v":1.0)"),
      replaced(good, R"("v":1)", R"("v":1,"v":1)"),
      replaced(good, "A256GCM", "A128GCM"),
      replaced(good, "A256GCM", "none"),
      replaced(good, R"("alg":"A256GCM",)", ""),
      replaced(good, R"("alg":"A256GCM",)", R"("alg":"A256GCM","alg":"A256GCM",)"),
      replaced(good, R"("alg":"A256GCM",)", R"("alg":"A256GCM","zip":"DEF",)"),
      replaced(good, R"("alg")", R"("\u0061lg")"),
      replaced(good, R"("alg":"A256GCM",)", R"("alg":null,)"),
      replaced(good, R"("alg":"A256GCM",)", R"("alg":"A256GCM",,)"),
      replaced(good, "local-00112233:1", "local-00112233"),
      replaced(good, "local-00112233:1", "local-00112233:0"),
      replaced(good, "local-00112233:1", "local-00112233:01"),
      replaced(good, "local-00112233:1", ":1"),
      replaced(good, "local-00112233:1", "local 1:1"),
      replaced(good, "local-00112233:1", std::string(200, 'k') + ":1"),
      replaced(good, "MjM0NTY3ODk6Ozw9", "MjM0NTY3ODk6Ozw"),
      replaced(good, "MjM0NTY3ODk6Ozw9", "MjM0NTY3ODk6Ozw9AA"),
      replaced(good, "MjM0NTY3ODk6Ozw9", "MjM0NTY3ODk6Ozw="),
      replaced(good, "HrL6-vmYT0JBZyqiVVNI6w", "HrL6-vmYT0JBZyqiVVNI"),
      replaced(good, "HrL6-vmYT0JBZyqiVVNI6w", "HrL6-vmYT0JBZyqiVVNI6x"),  // bits that belong to no byte
      replaced(good, "HrL6-vmYT0JBZyqiVVNI6w", "HrL6-vmYT0JBZyqiVVNI6w=="),
      replaced(good, "i_hhKoUCmf4fIMeo", "i/hhKoUCmf4fIMeo"),
      replaced(good, "i_hhKoUCmf4fIMeo", "i_hhK\noUCmf4fIMeo"),
      replaced(good, R"("dek":"AAEC)", R"("dek":"","x":"AAEC)"),
      replaced(good, R"("dek":"AAEC)", R"("dek":")" + std::string(2000, 'A') + "AAEC"),
      replaced(good, R"("ct":"i_hh)", R"("ct":")" + std::string(400'000, 'A') + "i_hh"),
  };
  for (const std::string& text : cases) {
    const auto found = parse_envelope(text);
    ASSERT_FALSE(found.has_value()) << text.substr(0, 400);
    EXPECT_EQ(found.error().code, ErrorCode::kEnvelopeInvalid);
  }
}

TEST(Envelope, HoldsAnEmptyAndTheLargestValue) {
  for (const std::size_t size : {std::size_t{0}, kMaxPlaintext}) {
    Envelope envelope = *parse_envelope(kGoldenEnvelope);
    envelope.ciphertext.assign(size, 'c');
    const auto found = parse_envelope(to_text(envelope));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, envelope);
  }
}

}  // namespace
}  // namespace bulkhead::kms
