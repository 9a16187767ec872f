#include "base/json.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(Json, RefusesWhatTwoParsersCouldReadDifferently) {
  for (const std::string_view text : {R"({"a":1,"a":2})", R"({"x":{"b":1,"b":1}})", R"({"a":1} x)", "", "{", "nul"}) {
    EXPECT_FALSE(parse_json(text).has_value()) << text;
  }
  std::string many = "{";
  for (int i = 0; i < 40; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(parse_json(many + "\"z\":0}").has_value());
  EXPECT_FALSE(parse_json(many + "\"k3\":0}").has_value()) << "also among many members";
}

TEST(Json, BoundsItsDepth) {
  EXPECT_TRUE(parse_json(std::string(60, '[') + std::string(60, ']')).has_value());
  EXPECT_FALSE(parse_json(std::string(70, '[') + std::string(70, ']')).has_value());
}

TEST(Json, CanonicalTextDoesNotDependOnOrderOrSpace) {
  EXPECT_EQ(canonical_json(*parse_json(R"({ "b":[1, {"y":2,"x":1}], "a":null })")),
            R"({"a":null,"b":[1,{"x":1,"y":2}]})");
}

TEST(JsonReader, CollectsEveryProblemAndNamesTheNearestField) {
  const auto value = parse_json(R"({"nmae":"x","size":"big","a/b":1})");
  std::vector<FieldError> problems;
  JsonReader reader(*value, problems, "/outer");
  reader.required_string("name");
  reader.optional_integer("size", 0, 10);
  reader.refuse_unknown();
  ASSERT_EQ(problems.size(), 4U);
  EXPECT_EQ(problems[0], (FieldError{"/outer/name", "is required"}));
  EXPECT_EQ(problems[1].pointer, "/outer/size");
  EXPECT_EQ(problems[2].message, "is not a known field; did you mean \"name\"?");
  EXPECT_EQ(problems[3].pointer, "/outer/a~1b");
}

TEST(Json, NumbersThatCouldNotBeWrittenAgainAreRefused) {
  for (const std::string_view text : {"1e400", "-1e999", R"({"a":[1,{"b":1e400}]})"}) {
    const auto parsed = parse_json(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidJson);
  }
  for (const std::string_view text : {"1e308", "123456789012345678901234567890", "1e-400"}) {
    const auto parsed = parse_json(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_TRUE(parse_json(json::serialize(*parsed))) << text;
  }
}

}  // namespace
}  // namespace bulkhead
