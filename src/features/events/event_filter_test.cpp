#include "features/events/event_filter.h"

#include <gtest/gtest.h>

namespace bulkhead::events {
namespace {

struct MatchCase {
  const char* filter;
  const char* payload;
  bool matches;
};

TEST(EventFilter, MatchesByTable) {
  const std::vector<MatchCase> cases = {
      {"{}", R"({"a":1})", true},
      {"{}", "null", true},
      // Scalars are equal by value, not by form, and never across kinds.
      {R"({"a":1})", R"({"a":1})", true},
      {R"({"a":1})", R"({"a":1.0})", true},
      {R"({"a":1})", R"({"a":"1"})", false},
      {R"({"a":"x"})", R"({"a":"x"})", true},
      {R"({"a":true})", R"({"a":true})", true},
      {R"({"a":false})", R"({"a":0})", false},
      {R"({"a":null})", R"({"a":null})", true},
      {R"({"a":null})", "{}", false},
      {R"({"a":18446744073709551615})", R"({"a":18446744073709551615})", true},
      {R"({"a":9007199254740993})", R"({"a":9007199254740992})", false},
      // Paths.
      {R"({"a.b.c":1})", R"({"a":{"b":{"c":1}}})", true},
      {R"({"a.b.c":1})", R"({"a":{"b":1}})", false},
      {R"({"a.b":1})", R"({"a.b":1})", false},
      {R"({"a":1})", "[1]", false},
      // All conditions.
      {R"({"a":1,"b":2})", R"({"a":1,"b":2})", true},
      {R"({"a":1,"b":2})", R"({"a":1,"b":3})", false},
      // Operators.
      {R"({"a":{"eq":1}})", R"({"a":1})", true},
      {R"({"a":{"ne":1}})", R"({"a":2})", true},
      {R"({"a":{"ne":1}})", R"({"a":1})", false},
      {R"({"a":{"ne":1}})", "{}", true},
      {R"({"a":{"in":["x","y"]}})", R"({"a":"y"})", true},
      {R"({"a":{"in":["x","y"]}})", R"({"a":"z"})", false},
      {R"({"a":{"in":[null]}})", "{}", false},
      {R"({"a":{"exists":true}})", R"({"a":null})", true},
      {R"({"a":{"exists":true}})", "{}", false},
      {R"({"a":{"exists":false}})", "{}", true},
      {R"({"a":{"exists":false}})", R"({"a":0})", false},
      {R"({"a":{"prefix":"or"}})", R"({"a":"order"})", true},
      {R"({"a":{"prefix":"or"}})", R"({"a":"o"})", false},
      {R"({"a":{"prefix":"1"}})", R"({"a":1})", false},
      {R"({"a":{"gt":10}})", R"({"a":10.5})", true},
      {R"({"a":{"gt":10}})", R"({"a":10})", false},
      {R"({"a":{"gte":10,"lt":20}})", R"({"a":10})", true},
      {R"({"a":{"gte":10,"lt":20}})", R"({"a":20})", false},
      {R"({"a":{"lte":"2026-12"}})", R"({"a":"2026-11"})", true},
      {R"({"a":{"lte":5}})", R"({"a":"4"})", false},
      {R"({"a":{"gt":-1}})", R"({"a":18446744073709551615})", true},
      // Arrays: one element must meet all operators, and none may be equal for ne.
      {R"({"tags":"new"})", R"({"tags":["old","new"]})", true},
      {R"({"tags":"new"})", R"({"tags":[]})", false},
      {R"({"n":{"gt":1,"lt":5}})", R"({"n":[0,9]})", false},
      {R"({"n":{"gt":1,"lt":5}})", R"({"n":[0,3]})", true},
      {R"({"tags":{"ne":"new"}})", R"({"tags":["old","new"]})", false},
      {R"({"tags":{"ne":"new"}})", R"({"tags":["old"]})", true},
      {R"({"tags":{"exists":true}})", R"({"tags":[]})", true},
      {R"({"a.b":1})", R"({"a":[{"b":1}]})", false},
  };
  for (const MatchCase& item : cases) {
    const auto filter = EventFilter::parse(item.filter);
    ASSERT_TRUE(filter) << item.filter << ": " << filter.error().to_log_string();
    EXPECT_EQ(filter->matches(*parse_json(item.payload)), item.matches) << item.filter << " on " << item.payload;
  }
}

TEST(EventFilter, RefusesWithThePlaceOfTheProblem) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "/filter"},
      {R"({"a":[1]})", "/filter/a"},
      {R"({"a":{}})", "/filter/a"},
      {R"({"":1})", "/filter/"},
      {R"({"a..b":1})", "/filter/a..b"},
      {R"({"a":{"like":"x"}})", "/filter/a/like"},
      {R"({"a":{"in":[]}})", "/filter/a/in"},
      {R"({"a":{"in":[[1]]}})", "/filter/a/in"},
      {R"({"a":{"in":"x"}})", "/filter/a/in"},
      {R"({"a":{"exists":1}})", "/filter/a/exists"},
      {R"({"a":{"prefix":1}})", "/filter/a/prefix"},
      {R"({"a":{"gt":true}})", "/filter/a/gt"},
      {R"({"a":{"eq":{}}})", "/filter/a/eq"},
      {R"({"x/y":{"q~":1}})", "/filter/x~1y/q~0"},
  };
  for (const auto& [text, pointer] : cases) {
    const auto filter = EventFilter::parse(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_EQ(filter.error().code, ErrorCode::kUnprocessable) << text;
    ASSERT_EQ(filter.error().fields.size(), 1U) << text;
    EXPECT_EQ(filter.error().fields.front().pointer, pointer) << text;
  }
}

TEST(EventFilter, HasBounds) {
  json::object many;
  for (int i = 0; i < 33; ++i) many["k" + std::to_string(i)] = 1;
  EXPECT_FALSE(EventFilter::compile(many));
  many.erase("k0");
  EXPECT_TRUE(EventFilter::compile(many));

  json::array list(65, 1);
  EXPECT_FALSE(EventFilter::compile(json::object{{"a", {{"in", list}}}}));
  list.pop_back();
  EXPECT_TRUE(EventFilter::compile(json::object{{"a", {{"in", list}}}}));

  std::string path = "a";
  for (int i = 1; i < 16; ++i) path += ".a";
  EXPECT_TRUE(EventFilter::compile(json::object{{path, 1}}));
  EXPECT_FALSE(EventFilter::compile(json::object{{path + ".a", 1}}));

  EXPECT_FALSE(EventFilter::compile(json::object{{"a", std::string(4'096, 'x')}}));
  EXPECT_FALSE(EventFilter::parse(std::string(5'000, ' ') + "{}"));
}

}  // namespace
}  // namespace bulkhead::events
