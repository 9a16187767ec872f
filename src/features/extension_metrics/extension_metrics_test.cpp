#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "features/extension_metrics/metric_calls.h"

namespace bulkhead::extension_metrics {
namespace {

using ::testing::HasSubstr;

Sample sample(Kind kind, std::string name, double value, std::map<std::string, std::string> labels = {}) {
  return {.kind = kind, .name = std::move(name), .labels = std::move(labels), .value = value};
}

class SeriesTableTest : public testing::Test {
 protected:
  ManualClock clock_;
  SeededRandom random_{7};
  SeriesTable table_{clock_};
  const InstallId install_ = InstallId::v4(random_);
};

TEST_F(SeriesTableTest, CountsSetsAndObserves) {
  EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "orders", 2, {{"tier", "a\"b"}})));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "orders", 3, {{"tier", "a\"b"}})));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kGauge, "depth", 7)));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kGauge, "depth", -1.5)));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kHistogram, "took", 0.02)));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kHistogram, "took", 99)));
  const std::string text = table_.text(install_);
  EXPECT_THAT(text, HasSubstr("# TYPE orders counter\norders{tier=\"a\\\"b\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE depth gauge\ndepth -1.5\n"));
  EXPECT_THAT(text, HasSubstr("took_bucket{le=\"0.01\"} 0\ntook_bucket{le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("took_bucket{le=\"+Inf\"} 2\ntook_sum 99.02\ntook_count 2\n"));
  EXPECT_EQ(table_.series(install_).size(), 3U);
  EXPECT_EQ(table_.text(InstallId::v4(random_)), "") << "nobody else's";
}

TEST_F(SeriesTableTest, KeepsTheKindOfAName) {
  EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "orders", 1)));
  EXPECT_EQ(table_.record(install_, sample(Kind::kGauge, "orders", 1)).error().code, ErrorCode::kUnprocessable);
}

TEST_F(SeriesTableTest, BoundsNamesAndSeriesOfAnInstall) {
  for (std::size_t i = 0; i < kMaxNames; ++i) {
    EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "name_" + std::to_string(i), 1)));
  }
  EXPECT_EQ(table_.record(install_, sample(Kind::kCounter, "one_more", 1)).error().code, ErrorCode::kQuotaExceeded);
  for (std::size_t i = kMaxNames; i < kMaxSeries; ++i) {
    EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "name_0", 1, {{"id", std::to_string(i)}})));
  }
  EXPECT_EQ(table_.record(install_, sample(Kind::kCounter, "name_0", 1, {{"id", "one more"}})).error().code,
            ErrorCode::kQuotaExceeded);
  EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "name_0", 1))) << "what is there goes on";
  EXPECT_EQ(table_.series_count(), kMaxSeries);
  EXPECT_TRUE(table_.record(InstallId::v4(random_), sample(Kind::kCounter, "orders", 1))) << "each has its own bounds";
}

TEST_F(SeriesTableTest, BoundsInstallsAndForgetsIdleOnes) {
  std::size_t refused = 0;
  for (std::size_t i = 0; i < kMaxInstalls * 2; ++i) {
    if (!table_.record(InstallId::v4(random_), sample(Kind::kCounter, "orders", 1))) ++refused;
  }
  EXPECT_GE(refused, kMaxInstalls);
  clock_.advance(std::chrono::hours(25));
  EXPECT_TRUE(table_.record(install_, sample(Kind::kCounter, "orders", 1)));
}

TEST(MetricCalls, TakeWhatTheSchemaAllows) {
  const struct {
    Kind kind;
    const char* request;
    bool good;
  } cases[] = {
      {Kind::kCounter, R"({"name":"orders"})", true},
      {Kind::kCounter, R"({"name":"orders","value":2.5,"labels":{"tier":"gold"}})", true},
      {Kind::kCounter, R"({"name":"orders","value":-1})", false},
      {Kind::kGauge, R"({"name":"depth","value":-1})", true},
      {Kind::kGauge, R"({"name":"depth"})", false},
      {Kind::kHistogram, R"({"name":"took","value":"1"})", false},
      {Kind::kHistogram, R"({"name":"took","value":1e400})", false},
      {Kind::kCounter, R"({"name":"1st"})", false},
      {Kind::kCounter, R"({"name":"a-b"})", false},
      {Kind::kCounter, R"({"name":"a","labels":{"le":"1"}})", false},
      {Kind::kCounter, R"({"name":"a","labels":{"x":1}})", false},
      {Kind::kCounter, R"({"name":"a","labels":{"a b":"1"}})", false},
      {Kind::kCounter, R"({"name":"a","labels":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":""}})",
       false},
      {Kind::kCounter, R"({"name":"a","lables":{}})", false},
      {Kind::kCounter, R"([])", false},
  };
  for (const auto& one : cases) {
    const auto parsed = parse_json(one.request);
    EXPECT_EQ(parsed && read_sample(one.kind, *parsed).has_value(), one.good) << one.request;
  }
}

}  // namespace
}  // namespace bulkhead::extension_metrics
