#include "platform/observe/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <thread>

#include "base/json.h"
#include "platform/observe/log_line.h"

namespace bulkhead::log {
namespace {

json::object parse_line(std::string_view line) {
  EXPECT_TRUE(line.ends_with("}\n")) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line: " << line;
  auto value = parse_json(line.substr(0, line.size() - 1));
  EXPECT_TRUE(value.has_value()) << line;
  return value ? value->as_object() : json::object();
}

std::string line_of(std::string_view event, Fields fields, const Error* problem = nullptr) {
  return log_line({1'700'000'000'000'000}, Level::kInfo, event, {fields.begin(), fields.size()}, problem);
}

TEST(LogLine, CarriesTimeLevelEventAndFieldsInOrder) {
  EXPECT_EQ(line_of("ready", {{"address", "127.0.0.1:80"}, {"cores", 2}, {"tls", false}, {"load", 0.5}}),
            "{\"ts\":\"2023-11-14T22:13:20.000000Z\",\"level\":\"info\",\"event\":\"ready\","
            "\"address\":\"127.0.0.1:80\",\"cores\":2,\"tls\":false,\"load\":0.5}\n");
}

TEST(LogLine, IsValidJsonWhateverTheValueHolds) {
  struct Case {
    std::string name, value, expected;
  };
  const std::string replacement = "\xEF\xBF\xBD";
  const std::vector<Case> cases = {
      {"quotes and backslashes", R"(a"b\c)", R"(a"b\c)"},
      {"line ends", "a\r\n\tb", "a\r\n\tb"},
      {"NUL and control characters", std::string("a\0\x01\x1f\x7f", 5), std::string("a\0\x01\x1f\x7f", 5)},
      {"UTF-8 of two to four bytes", "é€𝄞", "é€𝄞"},
      {"a lone continuation byte", "a\x80z", "a" + replacement + "z"},
      {"a cut sequence", "a\xE2\x82", "a" + replacement + replacement},
      {"an overlong form", "\xC0\xAF", replacement + replacement},
      {"a surrogate", "\xED\xA0\x80", replacement + replacement + replacement},
      {"beyond U+10FFFF", "\xF4\x90\x80\x80", replacement + replacement + replacement + replacement},
      {"0xFF", "\xFF", replacement},
  };
  for (const auto& c : cases) {
    const auto line = parse_line(line_of("e", {{"v", c.value}}));
    EXPECT_EQ(std::string_view(line.at("v").as_string()), c.expected) << c.name;
  }
}

TEST(LogLine, EscapesNamesAndEventsToo) {
  const auto line = parse_line(line_of("a\"b", {{"x\ny", 1}}));
  EXPECT_EQ(line.at("event").as_string(), "a\"b");
  EXPECT_EQ(line.at("x\ny").as_int64(), 1);
}

TEST(LogLine, WritesNumbersThatJsonLacksAsNull) {
  const auto line = parse_line(line_of("e", {{"nan", std::numeric_limits<double>::quiet_NaN()},
                                             {"inf", std::numeric_limits<double>::infinity()},
                                             {"least", std::numeric_limits<std::int64_t>::min()}}));
  EXPECT_TRUE(line.at("nan").is_null());
  EXPECT_TRUE(line.at("inf").is_null());
  EXPECT_EQ(line.at("least").as_int64(), std::numeric_limits<std::int64_t>::min());
}

TEST(LogLine, SpellsAnErrorOutWithItsCauses) {
  const Error inner = fail(ErrorCode::kUnavailable, "no connection", "errno 111").error();
  const Error middle = fail_because(ErrorCode::kStoreUnavailable, "no database", inner).error();
  const Error outer = fail_because(ErrorCode::kInternal, "", middle).error();
  const auto line = parse_line(line_of("request_failed", {{"request_id", "r1"}}, &outer));
  EXPECT_EQ(line.at("request_id").as_string(), "r1");
  EXPECT_EQ(line.at("error_code").as_string(), "internal");
  EXPECT_EQ(line.at("error_message").as_string(), error_info(ErrorCode::kInternal).title);
  EXPECT_FALSE(line.contains("error_detail"));
  const auto& causes = line.at("error_causes").as_array();
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].as_string(), "store_unavailable: no database");
  EXPECT_EQ(causes[1].as_string(), "unavailable: no connection (errno 111)");
}

// Sends stderr to a file for as long as it lives.
class CapturedStderr {
 public:
  CapturedStderr() : path_(testing::TempDir() + "bulkhead_log_test." + std::to_string(::getpid())) {
    saved_ = ::dup(STDERR_FILENO);
    const int file = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
  }
  ~CapturedStderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    ::unlink(path_.c_str());
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    std::string text(1 << 22, '\0');
    const ssize_t size = ::pread(STDERR_FILENO, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      result.push_back(text.substr(at, end - at + 1));
      at = end == std::string::npos ? text.size() : end + 1;
    }
    return result;
  }

 private:
  std::string path_;
  int saved_ = -1;
};

TEST(Log, WritesAtOnceBeforeItIsStarted) {
  CapturedStderr captured;
  info("early", {{"n", 1}});
  const auto lines = captured.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(parse_line(lines[0]).at("event").as_string(), "early");
}

TEST(Log, LeavesOutLinesBelowTheLeastLevel) {
  CapturedStderr captured;
  start(Level::kWarn);
  info("not_wanted");
  warn("wanted");
  stop();
  start(Level::kInfo);
  stop();
  const auto lines = captured.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(parse_line(lines[0]).at("event").as_string(), "wanted");
}

TEST(Log, KeepsEveryLineOfManyThreadsWholeAndWritesAllOnStop) {
  CapturedStderr captured;
  start(Level::kInfo);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 250; ++i) info("tick", {{"thread", t}, {"i", i}, {"text", std::string(300, 'x')}});
      });
    }
  }
  stop();
  const auto lines = captured.lines();
  EXPECT_EQ(lines.size(), 1000U);
  for (const auto& line : lines) parse_line(line);
}

TEST(Log, DropsAndCountsTheOldestLinesWhenNobodyReads) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  start(Level::kInfo);
  constexpr int kLines = 12'000;  // more than the queue (8192) and the pipe (64 KiB) hold
  for (int i = 0; i < kLines; ++i) info("flood", {{"i", i}, {"text", std::string(64, 'x')}});
  std::string text;
  std::thread reader([&] {
    char piece[65536];
    for (ssize_t n = 0; (n = ::read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, static_cast<size_t>(n));
  });
  stop();
  ::dup2(saved, STDERR_FILENO);  // the pipe's last writer: the reader sees the end
  ::close(saved);
  reader.join();
  ::close(ends[0]);

  std::int64_t written = 0, dropped = 0, last = -1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const auto line = parse_line(std::string_view(text).substr(at, end - at + 1));
    at = end + 1;
    if (line.at("event").as_string() == "log_lines_dropped") {
      dropped += line.at("lines").as_int64();
    } else {
      ++written;
      last = line.at("i").as_int64();
    }
  }
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(written + dropped, kLines);
  EXPECT_EQ(last, kLines - 1) << "the newest line survives";
}

}  // namespace
}  // namespace bulkhead::log
