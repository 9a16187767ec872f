#include "platform/observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace bulkhead::metrics {
namespace {

using testing::HasSubstr;

TEST(Metrics, CountersOfManyThreadsLoseNothing) {
  Registry registry;
  Counter& counter = registry.counter("ticks_total", "Ticks.");
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 40; ++t) {  // more threads than slots
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) counter.add();
      });
    }
  }
  counter.add(2);
  EXPECT_EQ(counter.value(), 40'002U);
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  Registry registry;
  Counter& a = registry.counter("hits_total", "Hits.", {{"route", "a"}});
  Counter& again = registry.counter("hits_total", "Hits.", {{"route", "a"}});
  Counter& b = registry.counter("hits_total", "Hits.", {{"route", "b"}});
  EXPECT_EQ(&a, &again);
  EXPECT_NE(&a, &b);
}

TEST(Metrics, RendersTheTextFormat) {
  Registry registry;
  registry.counter("b_total", "Second.", {{"code", "200"}}).add(3);
  registry.counter("b_total", "Second.", {{"code", "500"}});
  registry.gauge("a_open", "First.", [] { return 1.5; });
  EXPECT_EQ(registry.render(),
            "# HELP a_open First.\n"
            "# TYPE a_open gauge\n"
            "a_open 1.5\n"
            "# HELP b_total Second.\n"
            "# TYPE b_total counter\n"
            "b_total{code=\"200\"} 3\n"
            "b_total{code=\"500\"} 0\n");
}

TEST(Metrics, HistogramBucketsAreCumulativeAndIncludeTheirBound) {
  Registry registry;
  Histogram& histogram = registry.histogram("wait_seconds", "Wait.", {0.1, 1}, {{"pool", "p"}});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.observe(value);
  EXPECT_EQ(registry.render(),
            "# HELP wait_seconds Wait.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{pool=\"p\",le=\"0.1\"} 2\n"
            "wait_seconds_bucket{pool=\"p\",le=\"1\"} 3\n"
            "wait_seconds_bucket{pool=\"p\",le=\"+Inf\"} 4\n"
            "wait_seconds_sum{pool=\"p\"} 7.65\n"
            "wait_seconds_count{pool=\"p\"} 4\n");
}

TEST(Metrics, HistogramsOfManyThreadsLoseNothing) {
  Registry registry;
  Histogram& histogram = registry.histogram("t_seconds", "T.", latency_bounds());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 40; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) histogram.observe(2);
      });
    }
  }
  EXPECT_THAT(registry.render(), HasSubstr("t_seconds_sum 80000\n"));
  EXPECT_THAT(registry.render(), HasSubstr("t_seconds_count 40000\n"));
  EXPECT_THAT(registry.render(), HasSubstr("t_seconds_bucket{le=\"1\"} 0\n"));
  EXPECT_THAT(registry.render(), HasSubstr("t_seconds_bucket{le=\"2.5\"} 40000\n"));
}

TEST(Metrics, EscapesLabelValuesAndHelp) {
  Registry registry;
  registry.counter("c_total", "One \\ two\nthree \"four\".", {{"l", "a\"b\\c\nd"}});
  EXPECT_THAT(registry.render(), HasSubstr("# HELP c_total One \\\\ two\\nthree \"four\".\n"));
  EXPECT_THAT(registry.render(), HasSubstr("c_total{l=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

TEST(MetricsDeathTest, RefusesOneNameForTwoKindsAndBadNames) {
  Registry registry;
  registry.counter("x_total", "X.");
  EXPECT_DEATH(registry.gauge("x_total", "X.", [] { return 0.0; }, {{"a", "b"}}), "assertion failed");
  EXPECT_DEATH(registry.counter("1x", "X."), "assertion failed");
  EXPECT_DEATH(registry.counter("y_total", "Y.", {{"a-b", "c"}}), "assertion failed");
}

}  // namespace
}  // namespace bulkhead::metrics
