#include "protocol/json_text.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace bulkhead::protocol {
namespace {

bool accepts(std::string_view text) {
  JsonCursor cursor(text);
  cursor.skip();
  return cursor.finished();
}

bool boost_accepts(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = JsonCursor::kMaxDepth;
  boost::json::error_code failure;
  boost::json::parse(text, failure, {}, options);
  return !failure;
}

std::string quote_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, AcceptsExactlyWhatBoostJsonAccepts) {
  const std::string deep64 = std::string(64, '[') + std::string(64, ']');
  const std::string deep65 = std::string(65, '[') + std::string(65, ']');
  const std::vector<std::string> documents = {"",
                                              " ",
                                              "null",
                                              "nul",
                                              "nullx",
                                              "true false",
                                              "0",
                                              "-0",
                                              "01",
                                              "-",
                                              "1.",
                                              "1.5",
                                              ".5",
                                              "1e5",
                                              "1e",
                                              "1E+05",
                                              "+1",
                                              "1e-400",
                                              "123456789012345678901234567890",
                                              "[",
                                              "[]",
                                              "[1,]",
                                              "[,1]",
                                              "[1 2]",
                                              "[1,[2,{}]]",
                                              "{}",
                                              "{",
                                              R"({"a":1})",
                                              R"({"a"})",
                                              R"({"a":})",
                                              R"({a:1})",
                                              R"({"a":1,})",
                                              R"({"a":1}x)",
                                              R"({"a":1,"a":2})",
                                              R"("\u00e9")",
                                              R"("\ud800")",
                                              R"("\udc00")",
                                              R"("\ud83d\ude00")",
                                              R"("\ud83d\u0041")",
                                              R"("\u12")",
                                              R"("\x")",
                                              R"("\)",
                                              R"("abc)",
                                              "\"a\nb\"",
                                              "\"\x7f\"",
                                              "\"\xc3\xa9\"",
                                              "\"\xc3\"",
                                              "\"\xed\xa0\x80\"",
                                              "\"\xf4\x90\x80\x80\"",
                                              "\"\xc0\xaf\"",
                                              "\"12345678\xff\"",
                                              "\"\\\xc3\xa9\"",
                                              "[\"\\ud83d\",\"x\"]",
                                              deep64,
                                              deep65,
                                              "\xef\xbb\xbf{}",
                                              "{\"a\":\t1 ,\r\n\"b\" : [ ] }",
                                              "[true,false,null]",
                                              "[tru]",
                                              std::string("\"a\0b\"", 5),
                                              std::string("{}\0", 3),
                                              "/* c */ {}",
                                              "[1,2",
                                              "{\"a\":[1,{\"b\":2}]",
                                              "--1",
                                              "1-1"};
  for (const auto& document : documents) {
    EXPECT_EQ(accepts(document), boost_accepts(document)) << document;
    // Walking an object or array must agree with skipping it.
    JsonCursor cursor(document);
    std::string name;
    if (cursor.open_object()) {
      while (cursor.next_member(name)) cursor.skip();
      EXPECT_EQ(cursor.finished(), boost_accepts(document)) << document;
    } else if (cursor.open_array()) {
      while (cursor.next_element()) cursor.skip();
      EXPECT_EQ(cursor.finished(), boost_accepts(document)) << document;
    }
  }
}

TEST(JsonText, FindsSpecialBytesAtEveryOffset) {
  for (std::size_t length = 0; length < 24; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (const char special : {'"', '\\', '\n', '\x1f', '\x01'}) {
        std::string text(length, 'a');
        text[at] = special;
        const std::string out = quote_text(text);
        EXPECT_EQ(boost::json::parse(out).as_string(), text);
        JsonCursor cursor(out);
        EXPECT_EQ(cursor.read_string(), text);
      }
    }
  }
}

TEST(JsonText, WritesStringsThatReadBackAndReplacesWhatIsNotUtf8) {
  EXPECT_EQ(quote_text("plain"), R"("plain")");
  EXPECT_EQ(quote_text("a\"b\\c\n\r\t\x01"), R"("a\"b\\c\n\r\t\u0001")");
  EXPECT_EQ(quote_text("h\xc3\xa9llo \xf0\x9f\x98\x80"), "\"h\xc3\xa9llo \xf0\x9f\x98\x80\"");
  EXPECT_EQ(quote_text("a\xff\xfe"
                       "b\xed\xa0\x80"),
            "\"a\xef\xbf\xbd\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(JsonText, ReadsIntegersOnlyWhenTheyFit) {
  const auto read = [](std::string_view text) { return JsonCursor(text).read_integer(); };
  EXPECT_EQ(read("42"), 42);
  EXPECT_EQ(read("-7"), -7);
  EXPECT_EQ(read("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(read("9223372036854775808"), std::nullopt);
  EXPECT_EQ(read("1.0"), std::nullopt);
  EXPECT_EQ(read("1e3"), std::nullopt);
  EXPECT_EQ(read("\"1\""), std::nullopt);
}

TEST(JsonText, SkipReturnsTheValueAsItStands) {
  JsonCursor cursor(R"({ "config" : {"rate": 1.0, "big": 123456789012345678901} })");
  std::string name;
  ASSERT_TRUE(cursor.open_object());
  ASSERT_TRUE(cursor.next_member(name));
  EXPECT_EQ(name, "config");
  EXPECT_EQ(cursor.skip(), R"({"rate": 1.0, "big": 123456789012345678901})");
  EXPECT_FALSE(cursor.next_member(name));
  EXPECT_TRUE(cursor.finished());
}

}  // namespace
}  // namespace bulkhead::protocol
