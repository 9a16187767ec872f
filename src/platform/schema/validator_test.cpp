#include "platform/schema/validator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace bulkhead::schema {
namespace {

using ::testing::HasSubstr;

std::vector<FieldError> problems(std::string_view schema, std::string_view document) {
  const auto validator = Validator::compile(schema);
  if (!validator) return {{"schema", validator.error().message}};
  return validator->validate(document);
}

TEST(Validator, AcceptsWhatTheSchemaDescribes) {
  EXPECT_TRUE(
      problems(R"({"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}})", R"({"a":1})").empty());
  EXPECT_TRUE(problems("true", "[]").empty());
}

TEST(Validator, NamesEveryProblemByItsPointer) {
  const auto found = problems(R"({"type":"object","required":["b"],
      "properties":{"a":{"items":{"type":"integer"}}},"additionalProperties":false})",
                              R"({"a":[1,"x",2.5],"c/d":1})");
  std::vector<std::string> pointers;
  for (const auto& problem : found) pointers.push_back(problem.pointer);
  EXPECT_THAT(pointers, ::testing::UnorderedElementsAre("", "", "/a/1", "/a/2"));
}

TEST(Validator, NeverQuotesTheValue) {
  for (const auto& problem : problems(R"({"type":"integer","enum":[1],"const":2})", R"("hunter2")")) {
    EXPECT_THAT(problem.message, ::testing::Not(HasSubstr("hunter2")));
  }
}

TEST(Validator, KnowsTheKeywordsOfDraft202012) {
  const struct {
    const char* schema;
    const char* good;
    const char* bad;
  } cases[] = {
      {R"({"prefixItems":[{"type":"string"}],"items":false})", R"(["a"])", R"(["a",1])"},
      {R"({"dependentRequired":{"a":["b"]}})", R"({"a":1,"b":2})", R"({"a":1})"},
      {R"({"dependentSchemas":{"a":{"required":["b"]}}})", R"({"b":1})", R"({"a":1})"},
      {R"({"properties":{"a":true},"unevaluatedProperties":false})", R"({"a":1})", R"({"b":1})"},
      {R"({"prefixItems":[true],"unevaluatedItems":false})", "[1]", "[1,2]"},
      {R"({"contains":{"const":1},"minContains":2})", "[1,1]", "[1]"},
      {R"({"if":{"required":["a"]},"then":{"required":["b"]}})", R"({"a":1,"b":1})", R"({"a":1})"},
      {R"({"propertyNames":{"pattern":"^[a-z]+$"}})", R"({"a":1})", R"({"A":1})"},
      {R"({"multipleOf":0.01})", "0.07", "0.075"},
      {R"({"format":"date-time"})", R"("2026-11-22T13:00:00Z")", R"("yesterday")"},
      {R"j({"pattern":"^(?!x)"})j", R"("a")", R"("x")"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"$anchor":"a","type":"null"}}})", "null", "1"},
      {R"({"$ref":"#a","$defs":{"b":{"$anchor":"a","type":"null"}}})", "null", "1"},
  };
  for (const auto& test : cases) {
    EXPECT_THAT(problems(test.schema, test.good), ::testing::IsEmpty()) << test.schema;
    EXPECT_THAT(problems(test.schema, test.bad), ::testing::Not(::testing::IsEmpty())) << test.schema;
  }
}

TEST(Validator, AcceptsRecursiveSchemasThatVisitEachValueOnce) {
  const char* schemas[] = {
      R"({"properties":{"children":{"items":{"$ref":"#"}}}})",
      R"({"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}},"additionalProperties":{"$ref":"#"}})",
      R"({"prefixItems":[{"$ref":"#"}],"items":{"$ref":"#"}})",
      R"({"anyOf":[{"items":{"$ref":"#"}},{"additionalProperties":{"$ref":"#"}},{"type":"string"}]})",
  };
  for (const char* schema : schemas) EXPECT_TRUE(check_schema(schema)) << schema;
  EXPECT_THAT(problems(R"({"properties":{"n":{"$ref":"#"}},"additionalProperties":false})", R"({"n":{"n":{"x":1}}})"),
              ::testing::ElementsAre(::testing::Field(&FieldError::pointer, "/n/n")));
}

struct Refusal {
  const char* name;
  std::string schema;
  const char* pointer;
  const char* reason;
};

class RefusedSchemaTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusedSchemaTest, NamesPlaceAndReason) {
  const auto validator = Validator::compile(GetParam().schema);
  ASSERT_FALSE(validator);
  EXPECT_EQ(validator.error().code, ErrorCode::kUnprocessable);
  ASSERT_EQ(validator.error().fields.size(), 1u);
  EXPECT_EQ(validator.error().fields[0].pointer, GetParam().pointer) << validator.error().message;
  EXPECT_THAT(validator.error().fields[0].message, HasSubstr(GetParam().reason));
}

std::string nested(int levels) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += "{\"not\":";
  return text + "true" + std::string(static_cast<std::size_t>(levels), '}');
}
// 2^n paths from /$defs/0 to the last.
std::string doubling(int levels) {
  std::string text = R"({"$ref":"#/$defs/0","$defs":{)";
  for (int i = 0; i < levels; ++i) {
    const std::string next = R"({"$ref":"#/$defs/)" + std::to_string(i + 1) + "\"}";
    text += "\"" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]},";
  }
  return text + "\"" + std::to_string(levels) + "\":true}}";
}

INSTANTIATE_TEST_SUITE_P(
    , RefusedSchemaTest,
    ::testing::Values(
        Refusal{"NotJson", "{", "", "not JSON"}, Refusal{"WrongType", R"({"type":"strng"})", "/type", ""},
        Refusal{"WrongKeywordValue", R"({"properties":{"a":{"minLength":-1}}})", "/properties/a/minLength", ""},
        Refusal{"BadPattern", R"({"properties":{"a":{"pattern":"("}}})", "/properties/a/pattern", "regex"},
        Refusal{"RemoteReference", R"({"properties":{"a":{"$ref":"https://example.com/s.json"}}})",
                "/properties/a/$ref", "leaves the document"},
        Refusal{"FileReference", R"({"$ref":"file:///etc/passwd"})", "/$ref", "leaves the document"},
        Refusal{"RelativeReference", R"({"$ref":"other.json"})", "/$ref", "leaves the document"},
        Refusal{"DanglingReference", R"({"$ref":"#/$defs/a"})", "/$ref", "points to nothing"},
        Refusal{"InnerId", R"({"$defs":{"a":{"$id":"urn:a"}}})", "/$defs/a", "$id"},
        Refusal{"EndlessReference", R"({"$ref":"#"})", "", "applies itself"},
        Refusal{
            "EndlessReferenceInACircle",
            R"({"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#b"},"$anchor":"b"}}})",
            "", "applies itself"},
        Refusal{"EndlessDynamicReference", R"({"$dynamicAnchor":"a","anyOf":[true,{"$dynamicRef":"#a"}]})", "",
                "applies itself"},
        Refusal{"Doubling", doubling(12), "", "more than 1000"},
        Refusal{"DoublingAtEachLevel", R"({"properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}})", "/properties/a",
                "more than once"},
        Refusal{"DoublingItems", R"({"items":{"$ref":"#"},"contains":{"$ref":"#"}})", "", "more than once"},
        Refusal{"DoublingByPattern", R"({"patternProperties":{"a":{"$ref":"#"},"b":{"$ref":"#"}}})", "",
                "more than once"},
        Refusal{"TooDeep", nested(65), "", "64 levels"}, Refusal{"FarTooDeep", nested(10'000), "", ""},
        Refusal{"TooLarge", std::string(kMaxSchema.value + 1, ' '), "", "at most 256 KiB"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Validator, RefusesDocumentsThatAreNotJsonOrTooLarge) {
  EXPECT_THAT(problems("true", "{").at(0).message, HasSubstr("not JSON"));
  EXPECT_THAT(problems("true", std::string(kMaxDocument.value + 1, ' ')).at(0).message, HasSubstr("4 MiB"));
}

TEST(Validator, BoundsTheNumberOfProblems) {
  std::string document = "[0";
  for (int i = 0; i < 1'000; ++i) document += ",0";
  EXPECT_EQ(problems(R"({"items":{"type":"string"}})", document + "]").size(), kMaxProblems);
}

TEST(Validator, PatternsThatBacktrackWithoutEndAreStopped) {
  // (a|a)*b with a lookahead needs the backtracking engine; the limit makes it a mismatch instead of a hang.
  EXPECT_FALSE(problems(R"({"pattern":"^(?=a)(a|a)*(?=b)b$"})", "\"" + std::string(100, 'a') + "\"").empty());
}

TEST(Validator, TakesOurOwnManifestSchema) {
  std::ifstream file("api/manifest.v2.schema.json");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(check_schema(text.str()));
}

}  // namespace
}  // namespace bulkhead::schema
