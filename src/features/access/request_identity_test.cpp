#include "features/access/request_identity.h"

#include <gtest/gtest.h>

#include "base/ids.h"

namespace bulkhead::access {
namespace {

net::Headers headers(const char* name, std::string_view value) {
  net::Headers result;
  result.add(name, value);
  return result;
}

TEST(RequestIdentity, AValidClientRequestIdIsKept) {
  SeededRandom random(1);
  EXPECT_EQ(choose_request_id(headers("X-Request-Id", "order-17_a.b:c"), {1}, random), "order-17_a.b:c");
}

TEST(RequestIdentity, OtherRequestIdsAreReplacedByAUuidV7) {
  SeededRandom random(1);
  for (const std::string& sent : {std::string(), std::string(129, 'a'), std::string("a b"), std::string("a\"b"),
                                  std::string("caf\xc3\xa9"), std::string("a\tb"), std::string("{}")}) {
    const std::string id = choose_request_id(headers("x-request-id", sent), {1'700'000'000'000'000}, random);
    ASSERT_TRUE(Uuid::parse(id)) << sent;
    EXPECT_EQ(id[14], '7');
  }
}

TEST(RequestIdentity, TraceParentTable) {
  constexpr std::string_view kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
  struct Case {
    std::string sent;
    bool continued;
  };
  const Case cases[] = {
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
      {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds", true},
      {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", false},
      {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false},
      {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
      {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false},
      {"", false},
  };
  SeededRandom random(3);
  for (const Case& c : cases) {
    const std::string made = child_trace_parent(headers("traceparent", c.sent), random);
    ASSERT_EQ(made.size(), 55U);
    EXPECT_EQ(made.substr(0, 3), "00-");
    EXPECT_EQ(trace_id_of(made) == kTrace, c.continued) << c.sent;
    EXPECT_EQ(made.substr(52), c.continued ? "-01" : "-00") << c.sent;
    EXPECT_NE(made.substr(36, 16), "00f067aa0ba902b7");
  }
}

}  // namespace
}  // namespace bulkhead::access
