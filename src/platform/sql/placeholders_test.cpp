#include "platform/sql/placeholders.h"

#include <gtest/gtest.h>

namespace bulkhead::sql {
namespace {

struct Case {
  const char* statement;
  std::vector<int> numbers;
  const char* for_sqlite;
};

TEST(Placeholders, AreFoundOutsideOfLiteralsIdentifiersAndComments) {
  const std::vector<Case> cases = {
      {"", {}, ""},
      {"SELECT 1", {}, "SELECT 1"},
      {"SELECT $1", {1}, "SELECT ?1"},
      {"a = $2 AND b = $1 OR c = $2", {2, 1, 2}, "a = ?2 AND b = ?1 OR c = ?2"},
      {"VALUES($1,$12,$999)", {1, 12, 999}, "VALUES(?1,?12,?999)"},
      {"x = '$1' AND y = $1", {1}, "x = '$1' AND y = ?1"},
      {"x = 'it''s $1' AND y = $2", {2}, "x = 'it''s $1' AND y = ?2"},
      {"SELECT \"a$1\"\"$2\", $3", {3}, "SELECT \"a$1\"\"$2\", ?3"},
      {"SELECT 1 -- $1\n, $2", {2}, "SELECT 1 -- $1\n, ?2"},
      {"SELECT /* $1 ' */ $2", {2}, "SELECT /* $1 ' */ ?2"},
      {"SELECT a$1 FROM t", {}, "SELECT a$1 FROM t"},
      {"SELECT 'open $1", {}, "SELECT 'open $1"},
      {"SELECT $1 -- end", {1}, "SELECT ?1 -- end"},
  };
  for (const Case& one : cases) {
    const std::vector<Placeholder> found = find_placeholders(one.statement);
    std::vector<int> numbers;
    for (const Placeholder& placeholder : found) numbers.push_back(placeholder.number);
    EXPECT_EQ(numbers, one.numbers) << one.statement;
    EXPECT_EQ(to_sqlite_placeholders(one.statement, found), one.for_sqlite);
  }
}

TEST(Placeholders, MustUseEveryValueAndNoOther) {
  EXPECT_TRUE(uses_exactly(find_placeholders("SELECT 1"), 0));
  EXPECT_TRUE(uses_exactly(find_placeholders("SELECT $2, $1, $2"), 2));
  EXPECT_FALSE(uses_exactly(find_placeholders("SELECT $1"), 0));
  EXPECT_FALSE(uses_exactly(find_placeholders("SELECT $1, $3"), 3));
  EXPECT_FALSE(uses_exactly(find_placeholders("SELECT $1"), 2));
}

}  // namespace
}  // namespace bulkhead::sql
