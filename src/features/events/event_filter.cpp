#include "features/events/event_filter.h"

#include <algorithm>
#include <optional>

namespace bulkhead::events {
namespace {

bool is_scalar(const json::value& value) { return !value.is_object() && !value.is_array(); }

// Exact for every number that JSON text can hold here: 64-bit integers fit the 64-bit mantissa.
long double number_of(const json::value& value) {
  if (value.is_int64()) return static_cast<long double>(value.get_int64());
  if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
  return static_cast<long double>(value.get_double());
}

std::partial_ordering compare(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return number_of(a) <=> number_of(b);
  if (a.is_string() && b.is_string()) {
    return std::string_view(a.get_string()) <=> std::string_view(b.get_string());
  }
  return std::partial_ordering::unordered;
}

bool equal(const json::value& a, const json::value& b) {
  if (a.is_bool() && b.is_bool()) return a.get_bool() == b.get_bool();
  if (a.is_null() && b.is_null()) return true;
  return compare(a, b) == std::partial_ordering::equivalent;
}

const json::value* member_at(const json::value& payload, const std::vector<std::string>& path) {
  const json::value* at = &payload;
  for (const std::string& name : path) {
    if (!at->is_object()) return nullptr;
    at = at->get_object().if_contains(name);
    if (at == nullptr) return nullptr;
  }
  return at;
}

}  // namespace

// Turns a document into conditions and collects what is wrong with it.
class EventFilter::Compiler {
 public:
  Compiler(std::string_view pointer, std::vector<FieldError>& problems) : pointer_(pointer), problems_(problems) {}

  void compile(const json::value& document, EventFilter& filter) {
    if (!document.is_object()) return problem("", "must be an object of conditions");
    if (document.get_object().size() > kMaxConditions) return problem("", "has more than 32 conditions");
    for (const auto& member : document.get_object()) {
      Condition condition;
      const std::string place = "/" + escape_pointer(member.key());
      read_path(member.key(), place, condition);
      read_condition(member.value(), place, condition);
      filter.conditions_.push_back(std::move(condition));
    }
  }

 private:
  void problem(const std::string& place, std::string message) {
    problems_.push_back({std::string(pointer_) + place, std::move(message)});
  }

  void read_path(std::string_view text, const std::string& place, Condition& condition) {
    while (true) {
      const std::size_t dot = text.find('.');
      condition.path.emplace_back(text.substr(0, dot));
      if (condition.path.back().empty()) return problem(place, "must be member names joined by dots");
      if (condition.path.size() > kMaxPath) return problem(place, "names more than 16 members");
      if (dot == std::string_view::npos) return;
      text.remove_prefix(dot + 1);
    }
  }

  void read_condition(const json::value& value, const std::string& place, Condition& condition) {
    if (value.is_array()) return problem(place, R"(must be a scalar or an object of operators; a list is {"in": […]})");
    if (!value.is_object()) {
      condition.tests.push_back({Operator::kEqual, {value}});
      return;
    }
    if (value.get_object().empty()) return problem(place, "has no operator");
    for (const auto& member : value.get_object()) {
      read_operator(member.key(), member.value(), place + "/" + escape_pointer(member.key()), condition);
    }
  }

  void read_operator(std::string_view name, const json::value& value, const std::string& place, Condition& condition) {
    if (name == "exists") {
      if (!value.is_bool()) return problem(place, "must be true or false");
      condition.presence = value.get_bool() ? Presence::kPresent : Presence::kAbsent;
      return;
    }
    if (name == "in") return read_list(value, place, condition);
    const auto op = operator_of(name);
    if (!op) return problem(place, "is no operator; there are eq, ne, in, exists, prefix, gt, gte, lt and lte");
    if (*op == Operator::kPrefix && !value.is_string()) return problem(place, "must be a text");
    const bool orders = *op >= Operator::kGreater;
    if (orders && !value.is_number() && !value.is_string()) return problem(place, "must be a number or a text");
    if (!is_scalar(value)) return problem(place, "must be a scalar");
    condition.tests.push_back({*op, {value}});
  }

  void read_list(const json::value& value, const std::string& place, Condition& condition) {
    if (!value.is_array() || value.get_array().empty() || value.get_array().size() > kMaxListed ||
        !std::ranges::all_of(value.get_array(), is_scalar)) {
      return problem(place, "must be a list of 1 to 64 scalars");
    }
    condition.tests.push_back({Operator::kIn, {value.get_array().begin(), value.get_array().end()}});
  }

  static std::optional<Operator> operator_of(std::string_view name) {
    if (name == "eq") return Operator::kEqual;
    if (name == "ne") return Operator::kNotEqual;
    if (name == "prefix") return Operator::kPrefix;
    if (name == "gt") return Operator::kGreater;
    if (name == "gte") return Operator::kAtLeast;
    if (name == "lt") return Operator::kLess;
    if (name == "lte") return Operator::kAtMost;
    return std::nullopt;
  }

  std::string_view pointer_;
  std::vector<FieldError>& problems_;
};

Result<EventFilter> EventFilter::parse(std::string_view text, std::string_view pointer) {
  if (text.size() > kMaxText) return fail(ErrorCode::kUnprocessable, "An event filter holds at most 4 KiB.");
  BH_TRY(const json::value document, parse_json(text));
  return compile(document, pointer);
}

Result<EventFilter> EventFilter::compile(const json::value& document, std::string_view pointer) {
  EventFilter filter;
  Error error;
  error.code = ErrorCode::kUnprocessable;
  Compiler(pointer, error.fields).compile(document, filter);
  if (error.fields.empty() && json::serialize(document).size() > kMaxText) {
    error.fields.push_back({std::string(pointer), "is longer than 4 KiB"});
  }
  if (error.fields.empty()) return filter;
  error.message = error.fields.front().pointer + " " + error.fields.front().message + ".";
  return fail(std::move(error));
}

bool EventFilter::holds(const Test& test, const json::value& value) {
  switch (test.op) {
    case Operator::kEqual:
    case Operator::kIn:
      return std::ranges::any_of(test.values, [&](const json::value& one) { return equal(value, one); });
    case Operator::kNotEqual:
      return !equal(value, test.values.front());
    case Operator::kPrefix:
      return value.is_string() && std::string_view(value.get_string()).starts_with(test.values.front().get_string());
    case Operator::kGreater:
      return std::is_gt(compare(value, test.values.front()));
    case Operator::kAtLeast:
      return std::is_gteq(compare(value, test.values.front()));
    case Operator::kLess:
      return std::is_lt(compare(value, test.values.front()));
    case Operator::kAtMost:
      return std::is_lteq(compare(value, test.values.front()));
  }
  return false;
}

bool EventFilter::holds(const Condition& condition, const json::value* member) {
  if (condition.presence == Presence::kPresent && member == nullptr) return false;
  if (condition.presence == Presence::kAbsent && member != nullptr) return false;
  const auto is_negative = [](const Test& test) { return test.op == Operator::kNotEqual; };
  if (member == nullptr) return std::ranges::all_of(condition.tests, is_negative);
  if (!member->is_array()) {
    return std::ranges::all_of(condition.tests, [&](const Test& test) { return holds(test, *member); });
  }
  const json::array& elements = member->get_array();
  for (const Test& test : condition.tests) {
    if (is_negative(test) &&
        !std::ranges::all_of(elements, [&](const json::value& element) { return holds(test, element); })) {
      return false;
    }
  }
  if (std::ranges::all_of(condition.tests, is_negative)) return true;
  return std::ranges::any_of(elements, [&](const json::value& element) {
    return std::ranges::all_of(condition.tests, [&](const Test& test) { return holds(test, element); });
  });
}

bool EventFilter::matches(const json::value& payload) const {
  return std::ranges::all_of(
      conditions_, [&](const Condition& condition) { return holds(condition, member_at(payload, condition.path)); });
}

}  // namespace bulkhead::events
