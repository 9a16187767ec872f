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
  const std::string file = write_file("[server]\nlisten = \"127.0.0.1:1\"\nlog_level = \"warn\"\ncores = 3\n");
  const auto loaded = load_config({.file = file,
                                   .environment = {{"BULKHEAD_SERVER_LISTEN", "127.0.0.1:2"},
                                                   {"BULKHEAD_SERVER_CORES", "4"},
                                                   {"EXT_DOMAIN_ROOT", "apps.example"}},
                                   .flags = {{"server.listen", "127.0.0.1:3"}}});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(loaded->config.listen, "127.0.0.1:3");
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

TEST(Config, AnAddressToListenOnIsJudgedWithTheRest) {
  for (const char* good : {"127.0.0.1:0", "localhost:8080", ":65535", "[::1]:80"}) {
    EXPECT_TRUE(load_config({.file = "", .environment = {}, .flags = {{"server.listen", good}}}).has_value()) << good;
  }
  for (const auto& [bad, why] :
       {std::pair{"127.0.0.1:99999", "at most 65535"}, std::pair{"127.0.0.1:65536", "at most 65535"},
        std::pair{"127.0.0.1:80x", "HOST:PORT"}, std::pair{"127.0.0.1:", "HOST:PORT"}, std::pair{"8080", "HOST:PORT"},
        std::pair{"no.such.host:80", "IP address"}}) {
    const auto loaded = load_config({.file = "", .environment = {}, .flags = {{"server.listen", bad}}});
    ASSERT_FALSE(loaded.has_value()) << bad;
    EXPECT_NE(loaded.error().message.find("server.listen"), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(why), std::string::npos) << loaded.error().message;
  }
}

TEST(Config, AFileThatIsNotThereIsSaid) {
  const auto loaded = load_config({.file = "/nowhere/bulkhead.toml", .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().message.find("/nowhere/bulkhead.toml: there is no such file"), std::string::npos)
      << loaded.error().message;
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
