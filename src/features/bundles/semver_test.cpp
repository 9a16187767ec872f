#include "features/bundles/semver.h"

#include <gtest/gtest.h>

namespace bulkhead::bundles {
namespace {

TEST(Semver, AcceptsTheGrammarOfSemver2) {
  for (const char* text :
       {"0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0.3.7", "1.0.0-x-y-z.--",
        "1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85", "1.0.0+001", "1.0.0--1", "999999999999999999.0.0"}) {
    const auto version = Semver::parse(text);
    ASSERT_TRUE(version) << text;
    EXPECT_EQ(version->text(), text);
  }
}

TEST(Semver, RefusesWhatTheGrammarDoesNotHave) {
  for (const char* text : {"",          "1",      "1.2",       "1.2.3.4",    "v1.2.3",
                           "01.2.3",    "1.02.3", "1.2.03",    "1.2.3-",     "1.2.3+",
                           " 1.2.3",    "1.2.3 ", "1.2.3-01",  "1.2.3-a..b", "1.2.3+a..b",
                           "1.2.3-a_b", "-1.2.3", "1.2.3+a+b", "1..3",       "1000000000000000000.0.0",
                           "1.2.x"}) {
    EXPECT_FALSE(Semver::parse(text)) << text;
  }
  EXPECT_FALSE(Semver::parse("1.0.0-" + std::string(Semver::kMaxLength, 'a')));
}

TEST(Semver, OrdersAsParagraph11Says) {
  const std::array ascending{"1.0.0-alpha",
                             "1.0.0-alpha.1",
                             "1.0.0-alpha.beta",
                             "1.0.0-beta",
                             "1.0.0-beta.2",
                             "1.0.0-beta.11",
                             "1.0.0-rc.1",
                             "1.0.0",
                             "1.0.1",
                             "1.1.0",
                             "1.9.0",
                             "1.10.0",
                             "2.0.0-1",
                             "2.0.0-99999999999999999999999",
                             "2.0.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(*Semver::parse(ascending[i]) < *Semver::parse(ascending[j]), i < j) << ascending[i] << ascending[j];
    }
  }
  EXPECT_EQ(*Semver::parse("1.0.0+a"), *Semver::parse("1.0.0+b"));
}

}  // namespace
}  // namespace bulkhead::bundles
