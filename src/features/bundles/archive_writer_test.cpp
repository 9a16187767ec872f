#include "features/bundles/archive_writer.h"

#include <gtest/gtest.h>

#include "features/bundles/bundle_reader.h"
#include "features/bundles/bundle_writer.h"
#include "features/bundles/scratch_folder.h"
#include "features/bundles/tar_forge.h"

namespace bulkhead::bundles {
namespace {

std::vector<PackedFile> sample_files() {
  return {{"manifest.json", std::string(forge::kManifest)},
          {"dist/main.wasm", std::string(forge::kModule)},
          {"ui/\xC3\xA4/" + std::string(120, 'n') + ".txt", forge::noise(100'000)},
          {"empty", std::string()}};
}

void write_sample(const ScratchFolder& folder) {
  folder.write("manifest.json", R"({"name":"com.example.hello","version":"1.0.0","runtime":"wasm-core@1",
    "assets":["docs/*.md"],"ui":{"type":"iframe","entry":"ui/index.html"}})");
  folder.write("dist/main.wasm", forge::kModule);
  folder.write("ui/index.html", "<p>hello");
  folder.write("ui/a/b.js", "1");
  folder.write("docs/read.md", "# read");
  folder.write("docs/deep/not.md", "# not");
  folder.write(".env", "SECRET=1");
  folder.write("ui/.hidden", "x");
  folder.write("src/index.ts", "x");
  folder.write("package-lock.json", R"({"lockfileVersion":3,"packages":{"":{"name":"x"},
    "node_modules/b":{"version":"2.0.0","integrity":"sha512-b"},
    "node_modules/b/node_modules/@s/a":{"version":"1.0.0","integrity":"sha512-a"}}})");
}

// Pins tar form, zstd version, level and settings: a change here changes the hash of every bundle ever packed again.
TEST(ArchiveWriter, PacksTheGoldenBytes) {
  const ScratchFolder folder;
  const auto written = write_archive(sample_files(), folder.path("out"));
  ASSERT_TRUE(written) << written.error().to_log_string();
  EXPECT_EQ(written->content_hash.to_string(),
            "sha256:d5ee8d68570f8d4793b275d6286b2e1e37cc914990d54e7eed005f33804025c7");
  EXPECT_EQ(ContentHash::of(folder.read("out")), written->content_hash);
  EXPECT_EQ(written->size, Bytes{folder.read("out").size()});
}

TEST(ArchiveWriter, TheOrderOfTheInputDoesNotMatter) {
  const ScratchFolder folder;
  auto files = sample_files();
  const auto once = write_archive(files, folder.path("once"));
  std::ranges::reverse(files);
  const auto again = write_archive(files, folder.path("again"));
  ASSERT_TRUE(once && again);
  EXPECT_EQ(once->content_hash, again->content_hash);
}

TEST(ArchiveWriter, WhatItWritesReadsBack) {
  const ScratchFolder folder;
  ASSERT_TRUE(write_archive(sample_files(), folder.path("out")));
  const auto bundle = read_bundle_file(folder.path("out"));
  ASSERT_TRUE(bundle) << bundle.error().to_log_string();
  for (const PackedFile& file : sample_files()) {
    const Entry* entry = bundle->archive.find(file.path);
    ASSERT_NE(entry, nullptr) << file.path;
    EXPECT_EQ(entry->sha256, sha256(std::get<std::string>(file.content)));
  }
}

TEST(ArchiveWriter, RefusesBadNamesAndLeavesTheOldFileAlone) {
  const ScratchFolder folder;
  folder.write("out", "old");
  EXPECT_FALSE(write_archive({{"../x", std::string("x")}}, folder.path("out")));
  EXPECT_FALSE(write_archive({{"a", std::string("x")}, {"A", std::string("x")}}, folder.path("out")));
  EXPECT_FALSE(write_archive({{"a", PackedFile::OnDisk{folder.path("missing"), 1_B}}}, folder.path("out")));
  folder.write("grown", "more than before");
  const auto grown = write_archive({{"a", PackedFile::OnDisk{folder.path("grown"), 4_B}}}, folder.path("out"));
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().code, ErrorCode::kBundleInvalid);
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.part")));
}

TEST(PackFolder, TakesWhatTheManifestNamesAndNothingElse) {
  const ScratchFolder folder, out;
  write_sample(folder);
  Bytes last;
  PackOptions options{
      .toolchain = {{"assemblyscript", "0.28.0"}}, .version = {}, .progress = [&](Bytes done, Bytes total) {
        EXPECT_LE(done, total);
        last = total;
      }};
  const auto packed = pack_folder(folder.path(), out.path("bundle.tar.zst"), options);
  ASSERT_TRUE(packed) << packed.error().to_log_string();
  EXPECT_EQ(packed->paths, (std::vector<std::string>{"bundle.lock.json", "dist/main.wasm", "docs/read.md",
                                                     "manifest.json", "sbom.spdx.json", "ui/a/b.js", "ui/index.html"}));
  EXPECT_EQ(packed->generated, (std::vector<std::string>{"sbom.spdx.json", "bundle.lock.json"}));
  EXPECT_GT(last.value, 0U);
  const auto bundle = read_bundle_file(out.path("bundle.tar.zst"));
  ASSERT_TRUE(bundle) << bundle.error().to_log_string();
  EXPECT_EQ(bundle->archive.content_hash, packed->archive.content_hash);
}

TEST(PackFolder, TwiceGivesTheSameBytesWhereverTheFolderLies) {
  const ScratchFolder first, second, out;
  write_sample(first);
  write_sample(second);
  const auto once = pack_folder(first.path(), out.path("1"));
  const auto again = pack_folder(second.path() + "/", out.path("2"));
  ASSERT_TRUE(once && again);
  EXPECT_EQ(once->archive.content_hash, again->archive.content_hash);
  EXPECT_EQ(once->archive.content_hash.to_string(),
            "sha256:d74073ed91453c7f764a7fc9107c0fb8eec0093345c7a5c6406b6066b6c9b660");
}

TEST(PackFolder, GeneratesAnSbomAndALockfileThatListDependencies) {
  const ScratchFolder folder, out;
  write_sample(folder);
  ASSERT_TRUE(pack_folder(folder.path(), out.path("bundle")));
  std::map<std::string, std::string> contents;
  const auto source = open_file_source(out.path("bundle"));
  ASSERT_TRUE(read_archive(**source, {},
                           {.wants = [](const std::string&, Bytes) { return Result<bool>(true); },
                            .data =
                                [&](const std::string& path, std::string_view piece) {
                                  contents[path].append(piece);
                                  return Status();
                                }}));
  const auto sbom = parse_json(contents["sbom.spdx.json"]);
  ASSERT_TRUE(sbom);
  EXPECT_EQ(sbom->at("spdxVersion"), json::value("SPDX-2.3"));
  EXPECT_EQ(sbom->at("packages").as_array().size(), 3U);
  EXPECT_EQ(sbom->at_pointer("/packages/1/name"), json::value("@s/a"));
  const auto lock = parse_json(contents["bundle.lock.json"]);
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->at_pointer("/dependencies/1/integrity"), json::value("sha512-b"));
  EXPECT_TRUE(lock->at("files").as_object().contains("dist/main.wasm"));
}

TEST(PackFolder, KeepsTheAuthorsOwnInventory) {
  const ScratchFolder folder, out;
  write_sample(folder);
  folder.write("sbom.spdx.json", "{}");
  folder.write("bundle.lock.json", "{}");
  const auto packed = pack_folder(folder.path(), out.path("bundle"));
  ASSERT_TRUE(packed);
  EXPECT_TRUE(packed->generated.empty());
  const auto bundle = read_bundle_file(out.path("bundle"));
  EXPECT_EQ(bundle->archive.find("sbom.spdx.json")->size, 2_B);
}

TEST(PackFolder, SaysWhatIsMissing) {
  const ScratchFolder folder, out;
  EXPECT_EQ(pack_folder(folder.path(), out.path("b")).error().code, ErrorCode::kManifestNotFound);
  EXPECT_EQ(pack_folder("/nonexistent", out.path("b")).error().code, ErrorCode::kManifestNotFound);
  folder.write("manifest.json", "{}");
  EXPECT_EQ(pack_folder(folder.path(), out.path("b")).error().code, ErrorCode::kInvalidManifest);
  folder.write("manifest.json", forge::kManifest);
  const auto packed = pack_folder(folder.path(), out.path("b"));
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().fields.at(0).pointer, "/entry");
}

TEST(PackFolder, RefusesLinksAmongItsFiles) {
  const ScratchFolder folder, out;
  write_sample(folder);
  std::filesystem::create_symlink("/etc/passwd", folder.path("ui/link.txt"));
  const auto packed = pack_folder(folder.path(), out.path("b"));
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code, ErrorCode::kBundleInvalid);
}

}  // namespace
}  // namespace bulkhead::bundles
