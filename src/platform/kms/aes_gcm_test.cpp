#include "platform/kms/aes_gcm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"

namespace bulkhead::kms {
namespace {

// AES-256 with a 96-bit IV: test cases 13–16 of the GCM specification (McGrew and Viega, revised, appendix B) and two
// of NIST's CAVP (gcmEncryptExtIV256, gcmDecrypt256).
struct Vector {
  const char* name;
  const char* key;
  const char* iv;
  const char* associated;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
};

constexpr Vector kVectors[] = {
    {"case_13", "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"case_14", "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"case_15", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"case_16", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"cavp_encrypt", "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4", "516c33929df5a3284ff463d7", "",
     "", "", "bdc1ac884d332457a1d2664f168c76f0"},
    {"cavp_decrypt", "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce", "",
     "2db5168e932556f8089a0622981d017d", "fa4362189661d163fcd6a56d8bf0405a", "d636ac1bbedd5cc3ee727dc2ab4a9489"},
};

template <std::size_t N>
std::array<std::uint8_t, N> array_of(const char* hex) {
  const std::string bytes = *hex_decode(hex);
  std::array<std::uint8_t, N> out{};
  BH_ASSERT(bytes.size() == N);
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}

class AesGcmVector : public testing::TestWithParam<Vector> {};

TEST_P(AesGcmVector, SealsAndOpens) {
  const Vector& vector = GetParam();
  const std::string key = *hex_decode(vector.key);
  const auto iv = array_of<kIvSize>(vector.iv);
  const std::string associated = *hex_decode(vector.associated);
  const Sealed sealed = aes_gcm_seal(key, iv, associated, *hex_decode(vector.plaintext));
  EXPECT_EQ(hex_encode(sealed.ciphertext), vector.ciphertext);
  EXPECT_EQ(sealed.tag, array_of<kTagSize>(vector.tag));
  const auto opened = aes_gcm_open(key, iv, associated, sealed.ciphertext, sealed.tag);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(hex_encode(opened->view()), vector.plaintext);
}

INSTANTIATE_TEST_SUITE_P(Vectors, AesGcmVector, testing::ValuesIn(kVectors),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AesGcm, OpensNothingThatWasChanged) {
  const std::string key(kKeySize, 'k');
  const Iv iv{1, 2, 3};
  const Sealed sealed = aes_gcm_seal(key, iv, "here", "value");
  ASSERT_TRUE(aes_gcm_open(key, iv, "here", sealed.ciphertext, sealed.tag).has_value());
  EXPECT_FALSE(aes_gcm_open(key, iv, "there", sealed.ciphertext, sealed.tag).has_value());
  EXPECT_FALSE(aes_gcm_open(std::string(kKeySize, 'q'), iv, "here", sealed.ciphertext, sealed.tag).has_value());
  EXPECT_FALSE(aes_gcm_open(key, Iv{1, 2, 4}, "here", sealed.ciphertext, sealed.tag).has_value());
  EXPECT_FALSE(aes_gcm_open(key, iv, "here", sealed.ciphertext.substr(1), sealed.tag).has_value());
  for (std::size_t bit = 0; bit < kTagSize * 8; ++bit) {
    Tag tag = sealed.tag;
    tag[bit / 8] = static_cast<std::uint8_t>(tag[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(aes_gcm_open(key, iv, "here", sealed.ciphertext, tag).has_value()) << bit;
  }
}

}  // namespace
}  // namespace bulkhead::kms
