// Structured logs: one JSON object a line on stderr. A log line is an event with fields, never prose with values in it.
//
//   log::info("install_created", {{"install_id", id.to_string()}, {"version", version}});
//
// Every line carries ts, level, event and, where the caller has them, request_id and trace_id (pass them as fields).
// Never pass secrets, bodies, tokens or execution handles. Thread-safe; writing never blocks the caller for I/O longer
// than a bounded queue allows (when the queue is full the oldest lines are dropped and counted).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"

namespace bulkhead::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };

struct Field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral T>
  Field(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};
using Fields = std::initializer_list<Field>;

// Called once at start; before that, lines go to stderr synchronously.
void start(Level least);
// Writes what is queued and ends the writer.
void stop();
bool enabled(Level level);

// Between `hold` and `ready` lines wait in memory (at most 1,000), so that {"event":"ready",…} is the first line that a
// program which starts us reads. `ready` writes that line, then what waited; `stop` writes what still waits.
void hold();
void ready(Fields fields);
// Not held: for what delays `ready` itself.
void warn_at_once(std::string_view event, const Error& problem);

void write(Level level, std::string_view event, Fields fields = {});
inline void debug(std::string_view event, Fields fields = {}) { write(Level::kDebug, event, fields); }
inline void info(std::string_view event, Fields fields = {}) { write(Level::kInfo, event, fields); }
inline void warn(std::string_view event, Fields fields = {}) { write(Level::kWarn, event, fields); }
inline void error(std::string_view event, Fields fields = {}) { write(Level::kError, event, fields); }
// Adds the error's code, message, detail and causes.
void error(std::string_view event, const Error& problem, Fields fields = {});
void warn(std::string_view event, const Error& problem, Fields fields = {});

}  // namespace bulkhead::log
