#include "features/guard/idempotency.h"

#include <gtest/gtest.h>

#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> guard_migrations();
}

namespace bulkhead::guard {
namespace {

using net::Method;

class IdempotencyTest : public testing::TestWithParam<sql::Engine> {
 protected:
  IdempotencyRequest request(std::string key, std::string body = "{}") {
    return {scope_, "key:1", "POST /things", std::move(key), request_fingerprint("POST", "/things", body)};
  }
  Result<IdempotencyBegun> begin(IdempotencyRequest request) { return sql::wait(service_.begin(std::move(request))); }
  ErrorCode refusal(IdempotencyRequest request) {
    const auto begun = begin(std::move(request));
    EXPECT_FALSE(begun) << (begun && begun->replay ? "replayed" : "let through");
    return begun ? ErrorCode::kInternal : begun.error().code;
  }
  std::uint64_t count(const char* label) {
    return registry_.counter("idempotency_total", "", {{"case", label}}).value();
  }
  std::unique_ptr<IdempotencyService> service(std::string node, std::string epoch) {
    return std::make_unique<IdempotencyService>(
        *database_, clock_, registry_, IdempotencyService::Options{.node = std::move(node), .epoch = std::move(epoch)});
  }
  std::int64_t rows() {
    return sql::wait(database_->system_read([](sql::SystemTx& tx) -> Result<std::int64_t> {
             BH_TRY(const auto row, tx.query_one("SELECT COUNT(*) FROM idempotency_record"));
             return row.integer(0);
           }))
        .value();
  }
  // The middleware with an act that answers `response` and counts its calls.
  net::Response run(const std::string& key, const std::string& body, net::Response response) {
    net::Request sent;
    sent.method = Method::kPost;
    sent.target = "/things";
    sent.body = body;
    if (!key.empty()) sent.headers.add("idempotency-key", key);
    auto principal = std::make_shared<access::Principal>();
    principal->credential_id = "key:1";
    access::RouteContext context{
        .request = sent, .principal = principal, .request_id = "r", .trace_parent = "", .route = "/things"};
    const auto act = [&]() -> Task<net::Response> {
      ++acts_;
      co_return std::move(response);
    };
    return sql::wait(service_.run(context, scope_, act));
  }

  ManualClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  TenantScope scope_ = TenantScope::for_background_job(TenantId::v4(random_), "test");
  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {guard_migrations()});
  IdempotencyService service_{*database_, clock_, registry_, {.node = "a", .epoch = "boot-1"}};
  int acts_ = 0;
};

TEST_P(IdempotencyTest, TheFirstProceedsTheNextWaitsTheRestGetItsAnswer) {
  auto first = begin(request("k"));
  ASSERT_TRUE(first) << first.error().to_log_string();
  EXPECT_FALSE(first->replay);
  EXPECT_EQ(refusal(request("k")), ErrorCode::kIdempotencyInFlight);
  ASSERT_TRUE(sql::wait(service_.complete(first->ticket, net::Response::json(201, {{"id", 7}}))));
  for (int i = 0; i < 2; ++i) {
    auto again = begin(request("k"));
    ASSERT_TRUE(again && again->replay);
    EXPECT_EQ(again->replay->status, 201);
    EXPECT_EQ(again->replay->body, "{\"id\":7}");
    EXPECT_EQ(again->replay->headers.find("idempotency-replayed"), "true");
  }
  EXPECT_EQ(count("conflict"), 1U);
  EXPECT_EQ(count("persisted"), 1U);
  EXPECT_EQ(count("replay_served"), 2U);
}

TEST_P(IdempotencyTest, AnotherBodyIsAMismatchInEveryState) {
  const auto first = begin(request("k", R"({"n":1})"));
  EXPECT_EQ(refusal(request("k", R"({"n":2})")), ErrorCode::kIdempotencyMismatch);
  ASSERT_TRUE(sql::wait(service_.complete(first->ticket, net::Response::empty(204))));
  EXPECT_EQ(refusal(request("k", R"({"n":2})")), ErrorCode::kIdempotencyMismatch);
  EXPECT_TRUE(begin(request("k", R"({ "n": 1 })"))->replay);
  EXPECT_EQ(count("mismatch"), 2U);
}

TEST_P(IdempotencyTest, KeysAreScopedToTenantPrincipalAndEndpoint) {
  EXPECT_TRUE(begin(request("k")));
  IdempotencyRequest other_principal = request("k");
  other_principal.principal = "key:2";
  IdempotencyRequest other_endpoint = request("k");
  other_endpoint.endpoint = "POST /other";
  IdempotencyRequest other_tenant = request("k");
  other_tenant.scope = TenantScope::for_background_job(TenantId::v4(random_), "test");
  for (const auto& other : {other_principal, other_endpoint, other_tenant}) {
    const auto begun = begin(other);
    ASSERT_TRUE(begun);
    EXPECT_FALSE(begun->replay);
  }
  EXPECT_EQ(rows(), 4);
}

TEST_P(IdempotencyTest, AnAbandonedKeyIsFreeAgain) {
  const auto first = begin(request("k"));
  ASSERT_TRUE(sql::wait(service_.abandon(first->ticket)));
  const auto second = begin(request("k", R"({"other":1})"));
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->replay);
}

TEST_P(IdempotencyTest, ACrashInFlightLeavesAnUnknownOutcome) {
  ASSERT_TRUE(begin(request("k")));
  const auto next_life = service("a", "boot-2");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(sql::wait(next_life->begin(request("k"))).error().code, ErrorCode::kOutcomeUnknown);
  }
  EXPECT_EQ(count("outcome_unknown"), 2U);
  EXPECT_EQ(sql::wait(next_life->begin(request("k", "{\"n\":2}"))).error().code, ErrorCode::kIdempotencyMismatch);
  EXPECT_TRUE(sql::wait(next_life->begin(request("a new key"))));
}

TEST_P(IdempotencyTest, RecoveryMarksOnlyWhatThisNodeLost) {
  const auto other_node = service("b", "boot-9");
  ASSERT_TRUE(begin(request("ours")));
  ASSERT_TRUE(sql::wait(other_node->begin(request("theirs"))));
  const auto next_life = service("a", "boot-2");
  ASSERT_TRUE(sql::wait(next_life->begin(request("new"))));
  EXPECT_EQ(sql::wait(next_life->recover()), 1);
  EXPECT_EQ(sql::wait(next_life->begin(request("ours"))).error().code, ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(sql::wait(next_life->begin(request("theirs"))).error().code, ErrorCode::kIdempotencyInFlight);
  EXPECT_EQ(sql::wait(next_life->begin(request("new"))).error().code, ErrorCode::kIdempotencyInFlight);
}

TEST_P(IdempotencyTest, NothingIsInFlightForever) {
  const auto first = begin(request("k"));
  clock_.advance(std::chrono::minutes(16));
  EXPECT_EQ(refusal(request("k")), ErrorCode::kOutcomeUnknown);
  // The late first request can't turn an answered 409 into a success any more.
  ASSERT_TRUE(sql::wait(service_.complete(first->ticket, net::Response::empty(204))));
  EXPECT_EQ(refusal(request("k")), ErrorCode::kOutcomeUnknown);
}

TEST_P(IdempotencyTest, MarkUnknownSaysSoAtOnce) {
  const auto first = begin(request("k"));
  ASSERT_TRUE(sql::wait(service_.mark_unknown(first->ticket)));
  EXPECT_EQ(refusal(request("k")), ErrorCode::kOutcomeUnknown);
}

TEST_P(IdempotencyTest, ADayLaterTheKeyIsNew) {
  const auto first = begin(request("k"));
  ASSERT_TRUE(sql::wait(service_.complete(first->ticket, net::Response::empty(204))));
  clock_.advance(std::chrono::hours(24) - std::chrono::seconds(1));
  EXPECT_TRUE(begin(request("k"))->replay);
  clock_.advance(std::chrono::seconds(1));
  const auto again = begin(request("k", R"({"other":1})"));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->replay);
  EXPECT_EQ(refusal(request("k", R"({"other":1})")), ErrorCode::kIdempotencyInFlight);
}

TEST_P(IdempotencyTest, ExpiredRecordsAreCleanedUpInBatches) {
  for (int i = 0; i < 5; ++i) {
    const auto begun = begin(request("old-" + std::to_string(i)));
    ASSERT_TRUE(sql::wait(service_.complete(begun->ticket, net::Response::empty(204))));
  }
  clock_.advance(std::chrono::hours(25));
  ASSERT_TRUE(begin(request("new")));
  EXPECT_EQ(sql::wait(service_.delete_expired(3)), 3);
  EXPECT_EQ(sql::wait(service_.delete_expired(3)), 2);
  EXPECT_EQ(sql::wait(service_.delete_expired(3)), 0);
  EXPECT_EQ(rows(), 1);
}

TEST_P(IdempotencyTest, WhatIsNotReplayableIsReplayedWithoutItsBody) {
  struct Case {
    const char* key;
    net::Response response;
    const char* counted;
    bool omitted;
  };
  const std::string big(70'000, 'x');
  const Case cases[] = {
      {"secret", net::Response::json(201, {{"token", "t"}}), "redacted", true},
      {"html", net::Response::text(200, "text/html", "<p>"), "skipped_non_json", true},
      {"big", net::Response::json(200, json::value(std::string_view(big))), "skipped_too_large", true},
      {"none", net::Response::empty(204), "skipped_empty", false},
  };
  for (const Case& c : cases) {
    const auto begun = begin(request(c.key));
    ASSERT_TRUE(sql::wait(service_.complete(begun->ticket, c.response)));
    EXPECT_EQ(count(c.counted), 1U) << c.key;
    const auto again = begin(request(c.key));
    ASSERT_TRUE(again && again->replay) << c.key;
    EXPECT_EQ(again->replay->status, c.response.status) << c.key;
    EXPECT_EQ(again->replay->body, "") << c.key;
    EXPECT_EQ(again->replay->headers.find("idempotency-body").has_value(), c.omitted) << c.key;
  }
  const auto texts = sql::wait(database_->system_read([](sql::SystemTx& tx) {
                       return tx.query("SELECT body FROM idempotency_record WHERE idempotency_key = 'secret'");
                     })).value();
  EXPECT_EQ(texts[0].text(0), "{\"token\":\"[redacted]\"}");
}

TEST_P(IdempotencyTest, OfAThousandAtOnceExactlyOneProceeds) {
  constexpr int kRequests = 1'000;
  int proceed = 0, in_flight = 0, other = 0;
  const auto one = [&]() -> Task<> {
    const auto begun = co_await service_.begin(request("k"));
    if (begun && !begun->replay) {
      ++proceed;
    } else if (!begun && begun.error().code == ErrorCode::kIdempotencyInFlight) {
      ++in_flight;
    } else {
      ++other;
    }
  };
  for (int i = 0; i < kRequests; ++i) sql::start_task(one());
  sql::run_tasks();
  EXPECT_EQ(proceed, 1);
  EXPECT_EQ(in_flight, kRequests - 1);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(rows(), 1);
}

// Two nodes on one database, each with requests of the same key: still one.
TEST_P(IdempotencyTest, TwoNodesAgreeOnOne) {
  const auto second_database = database_.open_again();
  IdempotencyService second(*second_database, clock_, registry_, {.node = "b", .epoch = "boot-7"});
  std::atomic<int> proceed = 0;
  const auto ask = [&](IdempotencyService& service) {
    for (int i = 0; i < 50; ++i) {
      const auto begun = sql::wait(service.begin(request("k-" + std::to_string(i))));
      if (begun && !begun->replay) ++proceed;
    }
  };
  std::thread other([&] { ask(second); });
  ask(service_);
  other.join();
  EXPECT_EQ(proceed, 50);
}

TEST_P(IdempotencyTest, TheMiddlewareActsOnceAndReplays) {
  EXPECT_EQ(run("k", "{}", net::Response::json(201, {{"id", 1}})).status, 201);
  const auto again = run("\"k\"", "{ }", net::Response::json(500, {{"id", 2}}));
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.headers.find("idempotency-replayed"), "true");
  EXPECT_EQ(acts_, 1);
  EXPECT_EQ(run("k", R"({"n":1})", net::Response::empty(204)).status, 422);
  EXPECT_EQ(run("bad key", "{}", net::Response::empty(204)).status, 400);
  EXPECT_EQ(acts_, 1);
  EXPECT_EQ(run("", "{}", net::Response::empty(204)).status, 204);
  EXPECT_EQ(run("", "{}", net::Response::empty(204)).status, 204);
  EXPECT_EQ(acts_, 3);
}

TEST_P(IdempotencyTest, TheMiddlewareJudgesByTheStatus) {
  for (const int refused : {400, 404, 409, 422, 429, 503}) {
    const std::string key = "refused-" + std::to_string(refused);
    EXPECT_EQ(run(key, "{}", net::Response::empty(refused)).status, refused);
    EXPECT_EQ(run(key, "{}", net::Response::empty(201)).status, 201) << "nothing was done at " << refused;
  }
  for (const int unclear : {500, 502, 504}) {
    const std::string key = "unclear-" + std::to_string(unclear);
    EXPECT_EQ(run(key, "{}", net::Response::empty(unclear)).status, unclear);
    const auto again = run(key, "{}", net::Response::empty(201));
    EXPECT_EQ(again.status, 409);
    EXPECT_NE(again.body.find("outcome_unknown"), std::string::npos);
  }
}

TEST_P(IdempotencyTest, AnEscapedExceptionLeavesAnUnknownOutcome) {
  net::Request sent;
  sent.method = Method::kPost;
  sent.target = "/things";
  sent.headers.add("idempotency-key", "k");
  access::RouteContext context{.request = sent,
                               .principal = std::make_shared<access::Principal>(),
                               .request_id = "r",
                               .trace_parent = "",
                               .route = "/things"};
  const auto act = []() -> Task<net::Response> {
    throw std::runtime_error("bug");
    co_return net::Response::empty(200);
  };
  EXPECT_THROW(sql::wait(service_.run(context, scope_, act)), std::runtime_error);
  EXPECT_EQ(sql::wait(service_.run(context, scope_, act)).status, 409);
}

TEST_P(IdempotencyTest, WithoutTheStoreNothingIsDone) {
  database_.close();
  EXPECT_EQ(run("k", "{}", net::Response::empty(201)).status, 503);
  EXPECT_EQ(acts_, 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, IdempotencyTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::guard
