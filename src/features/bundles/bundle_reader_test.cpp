#include "features/bundles/bundle_reader.h"

#include <gtest/gtest.h>

#include "features/bundles/tar_forge.h"

namespace bulkhead::bundles {
namespace {

using forge::archive;
using forge::compress;
using forge::end_mark;
using forge::kManifest;
using forge::kModule;
using forge::member;
using forge::noise;

const std::string& good_tar() {
  static const std::string tar = member({"dist/main.wasm", kModule}) + member({"manifest.json", kManifest}) +
                                 member({"ui/index.html", "<p>hello"}) + end_mark();
  return tar;
}

ErrorCode code_of(std::string_view bytes, const ArchiveLimits& limits = {}) {
  const auto bundle = read_bundle(bytes, limits);
  EXPECT_FALSE(bundle);
  return bundle ? ErrorCode::kInternal : bundle.error().code;
}

TEST(BundleReader, GivesManifestModuleAndTheHashOfEveryEntry) {
  const std::string bytes = compress(good_tar());
  const auto bundle = read_bundle(bytes);
  ASSERT_TRUE(bundle) << bundle.error().to_log_string();
  EXPECT_EQ(bundle->manifest.name, "com.example.hello");
  EXPECT_EQ(bundle->manifest_text, kManifest);
  EXPECT_EQ(bundle->module, kModule);
  EXPECT_FALSE(bundle->signature);
  EXPECT_EQ(bundle->archive.content_hash, ContentHash::of(bytes));
  EXPECT_EQ(bundle->archive.archive_size, Bytes{bytes.size()});
  ASSERT_EQ(bundle->archive.entries.size(), 3U);
  EXPECT_EQ(bundle->archive.entries[2].path, "ui/index.html");
  EXPECT_EQ(bundle->archive.entries[2].sha256, sha256("<p>hello"));
  EXPECT_EQ(bundle->archive.find("nothing"), nullptr);
}

TEST(BundleReader, FindsAModuleThatTheManifestNamesAfterItWentBy) {
  const std::string manifest =
      R"({"name":"com.example.hello","version":"1.0.0","runtime":"wasm-core@1","entry":"a/early.wasm"})";
  const auto bundle = read_bundle(archive({{"a/early.wasm", kModule}, {"manifest.json", manifest}}));
  ASSERT_TRUE(bundle) << bundle.error().to_log_string();
  EXPECT_EQ(bundle->module, kModule);
}

TEST(BundleReader, AcceptsFoldersDotSlashNamesAndRecordPadding) {
  const std::string tar = member({"./", "", '5'}) + member({"./dist/", "", '5'}) +
                          member({"./dist/main.wasm", kModule}) + member({"./manifest.json", kManifest}) +
                          std::string(9216, '\0');
  const auto bundle = read_bundle(compress(tar));
  ASSERT_TRUE(bundle) << bundle.error().to_log_string();
  EXPECT_EQ(bundle->archive.entries[0].path, "dist/main.wasm");
}

TEST(BundleReader, ReportsAuthorsMachineCodeAndIgnoresIt) {
  const auto bundle = read_bundle(archive({{"artifacts/cwasm/x86_64-linux-gnu/main.cwasm", "native"},
                                           {"dist/main.wasm", kModule},
                                           {"manifest.json", kManifest}}));
  ASSERT_TRUE(bundle);
  ASSERT_EQ(bundle->notices.size(), 1U);
  EXPECT_NE(bundle->notices[0].find("never loaded"), std::string::npos);
}

TEST(BundleReader, MissingPartsAreNamed) {
  EXPECT_EQ(code_of(archive({{"dist/main.wasm", kModule}})), ErrorCode::kManifestNotFound);
  EXPECT_EQ(code_of(archive({})), ErrorCode::kManifestNotFound);
  EXPECT_EQ(code_of(archive({{"manifest.json", kManifest}})), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(archive({{"dist/main.wasm", kModule}, {"manifest.json", "{}"}})), ErrorCode::kInvalidManifest);
  const std::string with_sbom =
      R"({"name":"com.example.hello","version":"1.0.0","runtime":"wasm-core@1","sbom":"sbom.spdx.json"})";
  const auto bundle = read_bundle(archive({{"dist/main.wasm", kModule}, {"manifest.json", with_sbom}}));
  ASSERT_FALSE(bundle);
  EXPECT_EQ(bundle.error().fields.at(0).pointer, "/sbom");
}

struct BadArchive {
  const char* name;
  std::string tar;
};
void PrintTo(const BadArchive& bad, std::ostream* out) { *out << bad.name; }

class BundleReaderRefuses : public testing::TestWithParam<BadArchive> {};

TEST_P(BundleReaderRefuses, AsInvalid) {
  const auto bundle = read_bundle(compress(GetParam().tar + end_mark()));
  ASSERT_FALSE(bundle);
  EXPECT_EQ(bundle.error().code, ErrorCode::kBundleInvalid) << bundle.error().to_log_string();
}

std::string with(const std::string& bad) {
  return member({"dist/main.wasm", kModule}) + member({"manifest.json", kManifest}) + bad;
}
std::string pax(std::string_view name, std::string_view record) {
  return member({"pax", record, 'x'}) + member({name, "x"});
}

INSTANTIATE_TEST_SUITE_P(
    Archive, BundleReaderRefuses,
    testing::Values(
        BadArchive{"Traversal", with(member({"../evil", "x"}))},
        BadArchive{"TraversalInside", with(member({"ui/../../evil", "x"}))},
        BadArchive{"TraversalByPax", with(pax("ui/fine", "16 path=../evil\n"))},
        BadArchive{"Absolute", with(member({"/etc/passwd", "x"}))},
        BadArchive{"Backslash", with(member({"ui\\evil", "x"}))}, BadArchive{"Drive", with(member({"C:evil", "x"}))},
        BadArchive{"Symlink", with(member({"ui/link", "", '2', "/etc/passwd"}))},
        BadArchive{"Hardlink", with(member({"ui/link", "", '1', "manifest.json"}))},
        BadArchive{"HardlinkWithContent", with(member({"ui/link", "data", '1', "manifest.json"}))},
        BadArchive{"CharacterDevice", with(member({"dev", "", '3'}))},
        BadArchive{"BlockDevice", with(member({"dev", "", '4'}))}, BadArchive{"Fifo", with(member({"pipe", "", '6'}))},
        BadArchive{"GnuSparse", with(member({"sparse", "data", 'S'}))},
        BadArchive{"PaxSparse", with(pax("ui/fine", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"))},
        BadArchive{"Duplicate", with(member({"manifest.json", kManifest}))},
        BadArchive{"DuplicateByDotSlash", with(member({"./manifest.json", kManifest}))},
        BadArchive{"CaseCollision", with(member({"Manifest.json", kManifest}))},
        BadArchive{"CaseCollisionOfFolders", with(member({"Dist/other", "x"}))},
        BadArchive{"CaseCollisionBeyondAscii", with(member({"ui/\xC3\x84", "x"}) + member({"ui/\xC3\xA4", "x"}))},
        BadArchive{"FileAsFolder", with(member({"manifest.json/x", "x"}))},
        BadArchive{"FolderAsFile", with(member({"dist", "x"}))}, BadArchive{"NotUtf8", with(member({"ui/\xFF", "x"}))},
        BadArchive{"ControlCharacter", with(member({"ui/\n", "x"}))},
        BadArchive{"FolderWithContent", with(member({"folder", "content", '5'}))},
        BadArchive{"CutInContent", with(member({"ui/big", "x", '0', "", 5000}))},
        BadArchive{"Garbage", with(std::string(512, 'x'))}),
    [](const auto& info) { return info.param.name; });

TEST(BundleReader, RefusesWhatExceedsTheLimits) {
  const ArchiveLimits small{.archive = 64_KiB, .unpacked = 32_KiB, .file = 16_KiB, .entries = 4, .ratio = 200};
  const std::string big = noise(20'000), half = noise(15'000);
  EXPECT_EQ(code_of(archive({{"big", big}}), small), ErrorCode::kBundleTooLarge);
  EXPECT_EQ(code_of(archive({{"a", half}, {"b", half}, {"c", half}}), small), ErrorCode::kBundleTooLarge);
  EXPECT_EQ(code_of(archive({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}), small),
            ErrorCode::kBundleTooLarge);
  EXPECT_EQ(code_of(std::string(70'000, 'x'), small), ErrorCode::kBundleTooLarge);
  // A file that only claims to be large is refused before its bytes are read.
  EXPECT_EQ(code_of(archive({{"claims", "x", '0', "", 20'000}}), small), ErrorCode::kBundleTooLarge);
  EXPECT_EQ(code_of(archive({{"claims", "x", '0', "", 077777777777}})), ErrorCode::kBundleTooLarge);
}

TEST(BundleReader, RefusesBombs) {
  const std::string zeros(std::size_t{8} << 20U, '\0');
  const std::string bomb = archive({{"dist/main.wasm", kModule}, {"manifest.json", kManifest}, {"zeros", zeros}});
  ASSERT_LT(bomb.size() * 200, zeros.size());
  EXPECT_EQ(code_of(bomb), ErrorCode::kBundleTooLarge);
  // Also where the zeros are not in any file but behind the archive.
  EXPECT_EQ(code_of(compress(good_tar() + zeros)), ErrorCode::kBundleTooLarge);
}

TEST(BundleReader, RefusesTrailingData) {
  const std::string bytes = compress(good_tar());
  EXPECT_EQ(code_of(bytes + "x"), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(bytes + bytes), ErrorCode::kBundleInvalid);  // a second frame
  EXPECT_EQ(code_of(bytes + std::string("\x50\x2A\x4D\x18\0\0\0\0", 8)),
            ErrorCode::kBundleInvalid);  // a skippable frame
  EXPECT_EQ(code_of(std::string("\x50\x2A\x4D\x18\0\0\0\0", 8) + bytes), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress(good_tar() + "x")), ErrorCode::kBundleInvalid);  // behind the end mark
  EXPECT_EQ(code_of(compress(good_tar() + member({"hidden", "x"}) + end_mark())), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress(good_tar() + noise(20'480).replace(0, 10'240, 10'240, '\0'))), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress(good_tar() + std::string(10'240, '\0'))), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress(good_tar().substr(0, good_tar().size() - 1024))),
            ErrorCode::kBundleInvalid);  // no end mark
  EXPECT_EQ(code_of(compress(good_tar().substr(0, good_tar().size() - 512))),
            ErrorCode::kBundleInvalid);  // half of one
}

TEST(BundleReader, RefusesEveryTruncation) {
  const std::string bytes = compress(good_tar());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(code_of(bytes.substr(0, size)), ErrorCode::kBundleInvalid) << "cut at " << size;
  }
}

TEST(BundleReader, ABitFlipNeverGoesUnnoticed) {
  const std::string bytes = compress(good_tar());
  const ContentHash hash = ContentHash::of(bytes);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << static_cast<unsigned>(bit)));
      const auto bundle = read_bundle(flipped);  // must not crash; what still reads has another hash
      if (bundle) {
        EXPECT_NE(bundle->archive.content_hash, hash) << at << "/" << bit;
      }
    }
  }
}

TEST(BundleReader, RefusesOtherFormats) {
  EXPECT_EQ(code_of(""), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(std::string_view()), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of("hello"), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(good_tar()), ErrorCode::kBundleInvalid);  // tar without zstd
  EXPECT_EQ(code_of("PK\3\4 a zip file"), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress("not a tar at all")), ErrorCode::kBundleInvalid);
  EXPECT_EQ(code_of(compress(compress(good_tar()))), ErrorCode::kBundleInvalid);  // no filter inside a filter
}

TEST(BundleReader, ReadsFilesAndSaysWhenThereIsNone) {
  EXPECT_EQ(read_bundle_file("/nonexistent/bundle").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_bundle_file("/dev/null").error().code, ErrorCode::kBundleInvalid);
  EXPECT_EQ(read_bundle_file("/").error().code, ErrorCode::kBundleInvalid);
}

TEST(BundleReader, AVisitorsErrorEndsTheReading) {
  const std::string bytes = compress(good_tar());
  const auto source = memory_source(bytes);
  const auto summary = read_archive(
      *source, {},
      {.wants = [](const std::string&, Bytes) { return Result<bool>(fail(ErrorCode::kCancelled)); }, .data = {}});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace bulkhead::bundles
