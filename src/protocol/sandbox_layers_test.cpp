#include "protocol/sandbox_layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::protocol {
namespace {

using ::testing::HasSubstr;

const SandboxLayers kLayers = {{.layer = "seccomp", .active = true, .reason = "an \"allowlist\""},
                               {.layer = "cgroup", .active = false, .reason = "v1"}};

TEST(SandboxLayers, AreReportedAsJson) {
  EXPECT_EQ(to_json(kLayers), R"([{"layer":"seccomp","active":true,"reason":"an \"allowlist\""},)"
                              R"({"layer":"cgroup","active":false,"reason":"v1"}])");
}

TEST(SandboxLayers, AnUnknownNameIsAnErrorThatNamesTheNearest) {
  const std::vector<std::string> good = {"seccomp", "cgroup"};
  EXPECT_TRUE(check_layer_names(good));
  const std::vector<std::string> bad = {"seccomp", "secomp"};
  const auto refused = check_layer_names(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnprocessable);
  EXPECT_THAT(refused.error().message, HasSubstr("\"secomp\" is not a sandbox layer; did you mean \"seccomp\"?"));
}

TEST(SandboxLayers, ARequiredOneMustBeActive) {
  const struct {
    std::vector<std::string> required;
    std::string missing;  // "" = all there
  } cases[] = {{{}, ""}, {{"seccomp"}, ""}, {{"seccomp", "cgroup"}, "cgroup"}, {{"landlock"}, "landlock"}};
  for (const auto& [required, missing] : cases) {
    const auto checked = check_required_layers(kLayers, required);
    EXPECT_EQ(checked.has_value(), missing.empty());
    if (!checked) EXPECT_THAT(checked.error().message, HasSubstr("\"" + missing + "\" is required"));
  }
}

}  // namespace
}  // namespace bulkhead::protocol
