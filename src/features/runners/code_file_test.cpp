#include "features/runners/code_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "features/runners/code_signer.h"
#include "platform/process/file.h"

namespace bulkhead::runners {
namespace {

class CodeFileTest : public testing::Test {
 protected:
  CodeFileTest() {
    offer_.content_hash = ContentHash::of("bundle");
    offer_.wasm_hash = ContentHash::of("wasm");
    offer_.code_hash = ContentHash::of(code_);
    offer_.target = "x86_64-linux-gnu";
    offer_.engine_fingerprint = "wasmtime 48";
    offer_.code_size = code_.size();
    signer_.sign(offer_);
    file_ = encode_code_file(offer_, code_);
  }
  CodeIdentity identity() const { return {offer_.content_hash, offer_.target, offer_.engine_fingerprint}; }

  process::TemporaryDirectory folder_ = *process::TemporaryDirectory::create("code-file-test");
  CodeSigner signer_ = *CodeSigner::load_or_create(folder_.path() + "/key");
  std::string code_ = std::string(1000, 'c');
  protocol::ModuleOffer offer_;
  std::string file_;
};

TEST_F(CodeFileTest, RoundTrips) {
  const auto decoded = decode_code_file(file_, identity(), signer_.public_key());
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->code, code_);
}

TEST_F(CodeFileTest, RefusesAnyChangedByte) {
  for (std::size_t at = 0; at < file_.size(); at += 7) {
    std::string changed = file_;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(decode_code_file(changed, identity(), signer_.public_key()).has_value()) << at;
  }
  for (std::size_t size = 0; size < file_.size(); size += 13) {
    EXPECT_FALSE(decode_code_file(file_.substr(0, size), identity(), signer_.public_key()).has_value()) << size;
  }
}

TEST_F(CodeFileTest, RefusesCodeOfAnotherBundleEngineOrSigner) {
  auto other = identity();
  other.content_hash = ContentHash::of("another");
  EXPECT_FALSE(decode_code_file(file_, other, signer_.public_key()).has_value());
  other = identity();
  other.engine_fingerprint = "wasmtime 49";
  EXPECT_FALSE(decode_code_file(file_, other, signer_.public_key()).has_value());
  const auto stranger = *CodeSigner::load_or_create(folder_.path() + "/stranger");
  EXPECT_FALSE(decode_code_file(file_, identity(), stranger.public_key()).has_value());
}

TEST_F(CodeFileTest, TheKeyIsKeptAndPrivate) {
  const auto again = CodeSigner::load_or_create(folder_.path() + "/key");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->public_key(), signer_.public_key());
  struct stat info{};
  ASSERT_EQ(::stat((folder_.path() + "/key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ::chmod((folder_.path() + "/key").c_str(), 0644);
  EXPECT_FALSE(CodeSigner::load_or_create(folder_.path() + "/key").has_value());
}

}  // namespace
}  // namespace bulkhead::runners
