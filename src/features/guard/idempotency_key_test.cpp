#include "features/guard/idempotency_key.h"

#include <gtest/gtest.h>

namespace bulkhead::guard {
namespace {

TEST(IdempotencyKey, ParseTable) {
  struct Case {
    std::string field;
    std::optional<std::string> key;
  };
  const Case cases[] = {
      {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
      {"\"8e03978e-40d5\"", "8e03978e-40d5"},
      {"  \"a b\"\t", "a b"},
      {R"("a\"b\\c")", "a\"b\\c"},
      {"a;b=c,d", "a;b=c,d"},
      {std::string(255, 'k'), std::string(255, 'k')},
      {"\"" + std::string(255, 'k') + "\"", std::string(255, 'k')},
      {std::string(256, 'k'), {}},
      {"\"" + std::string(256, 'k') + "\"", {}},
      {"", {}},
      {"   ", {}},
      {"\"\"", {}},
      {"\"", {}},
      {"\"open", {}},
      {"close\"", {}},
      {"a\"b", {}},
      {"a b", {}},
      {R"("a\b")", {}},
      {R"("a\")", {}},
      {"\"a\"b\"", {}},
      {"caf\xc3\xa9", {}},
      {std::string("a\0b", 3), {}},
      {"\"a\tb\"", {}},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_idempotency_key(c.field), c.key) << c.field;
}

TEST(IdempotencyKey, ComesFromEitherHeaderButOnlyOnce) {
  const auto read = [](std::vector<std::pair<const char*, const char*>> fields) {
    net::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return idempotency_key(headers);
  };
  EXPECT_EQ(read({}).value(), std::nullopt);
  EXPECT_EQ(read({{"Idempotency-Key", "\"a\""}}).value(), "a");
  EXPECT_EQ(read({{"X-Idempotency-Key", "a"}}).value(), "a");
  EXPECT_EQ(read({{"idempotency-key", "a"}, {"x-idempotency-key", "\"a\""}}).value(), "a");
  EXPECT_EQ(read({{"idempotency-key", "a"}, {"x-idempotency-key", "b"}}).error().code, ErrorCode::kBadRequest);
  EXPECT_EQ(read({{"idempotency-key", "a"}, {"idempotency-key", "a"}}).error().code, ErrorCode::kBadRequest);
  EXPECT_EQ(read({{"idempotency-key", ""}}).error().code, ErrorCode::kBadRequest);
}

TEST(RequestFingerprint, Table) {
  const std::string base = request_fingerprint("POST", "/a", R"({"x":1,"y":[2,3]})");
  EXPECT_EQ(base, request_fingerprint("POST", "/a", " { \"y\" : [2, 3],\n \"x\":1 } "));
  EXPECT_NE(base, request_fingerprint("PUT", "/a", R"({"x":1,"y":[2,3]})"));
  EXPECT_NE(base, request_fingerprint("POST", "/a?b", R"({"x":1,"y":[2,3]})"));
  EXPECT_NE(base, request_fingerprint("POST", "/a", R"({"x":1,"y":[3,2]})"));
  EXPECT_NE(base, request_fingerprint("POST", "/a", R"({"x":1})"));
  EXPECT_NE(base, request_fingerprint("POST", "/a", ""));
  EXPECT_NE(request_fingerprint("POST", "/a", "b"), request_fingerprint("POST", "/ab", ""));
  EXPECT_NE(request_fingerprint("POST", "/a", "{x"), request_fingerprint("POST", "/a", "{ x")) << "not JSON: bytes";
  EXPECT_NE(request_fingerprint("POST", "/a", "a b"), request_fingerprint("POST", "/a", "ab"));
}

}  // namespace
}  // namespace bulkhead::guard
