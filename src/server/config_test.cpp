#include "server/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace bulkhead::server {
namespace {

std::string write_file(const std::string& text) {
  std::string path = testing::TempDir() + "/config-" + std::to_string(::getpid()) + ".toml";
  std::ofstream(path) << text;
  return path;
}

TEST(Config, FlagsWinOverEnvironmentOverFileOverDefaults) {
  const std::string file = write_file("[server]\nlisten = \"file:1\"\nlog_level = \"warn\"\ncores = 3\n");
  const auto loaded = load_config({.file = file,
                                   .environment = {{"BULKHEAD_SERVER_LISTEN", "env:2"},
                                                   {"BULKHEAD_SERVER_CORES", "4"},
                                                   {"EXT_DOMAIN_ROOT", "apps.example"}},
                                   .flags = {{"server.listen", "flag:3"}}});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(loaded->config.listen, "flag:3");
  EXPECT_EQ(loaded->config.cores, 4);
  EXPECT_EQ(loaded->config.log_level, "warn");
  EXPECT_EQ(loaded->config.domain_root, "apps.example");
  EXPECT_EQ(loaded->config.runner_processes, 1);
  EXPECT_EQ(loaded->explained[0].source, "flag");
  EXPECT_TRUE(loaded->explained[2].source.ends_with(".toml:3")) << loaded->explained[2].source;
}

TEST(Config, TellsEveryProblemWithItsPlaceAndTheNearestName) {
  const std::string file = write_file("[server]\nlisen = \"x\"\ncores = \"many\"\nlog_level = \"loud\"\n");
  const auto loaded =
      load_config({.file = file, .environment = {{"BULKHEAD_SERVER_LISTN", "x"}}, .flags = {{"runner.slots", "0"}}});
  ASSERT_FALSE(loaded.has_value());
  const std::string& text = loaded.error().message;
  for (const char* part : {".toml:2: server.lisen is not a known setting; did you mean \"server.listen\"?",
                           ".toml:3: server.cores must be an integer", ".toml:4: server.log_level must be one of",
                           "did you mean BULKHEAD_SERVER_LISTEN?", "runner.slots must be from 1 to"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(Config, ASyntaxErrorNamesItsLine) {
  const auto loaded = load_config({.file = write_file("[server]\nlisten = \n"), .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().message.find(".toml:2"), std::string::npos) << loaded.error().message;
}

TEST(Config, SecretsAreNeverShown) {
  const auto loaded = load_config({.file = "", .environment = {{"PLATFORM_API_ADMIN_TOKEN", "hush"}}, .flags = {}});
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->config.platform_admin_token, "hush");
  for (const Explained& explained : loaded->explained) {
    EXPECT_EQ(shown_value(explained).find("hush"), std::string::npos);
  }
}

}  // namespace
}  // namespace bulkhead::server
