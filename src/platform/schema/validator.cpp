#include "platform/schema/validator.h"

#include <bulkhead_native.h>

#include <boost/json.hpp>
#include <utility>

namespace bulkhead::schema {

namespace {

const std::uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

std::string take(bh_buffer buffer) {
  std::string text(reinterpret_cast<const char*>(buffer.data), buffer.size);
  bh_buffer_free(buffer);
  return text;
}

std::string too_large(std::string_view text, Bytes most) {
  return "It has " + to_string(Bytes{text.size()}) + "; at most " + to_string(most) + " are accepted.";
}

std::unexpected<Error> refused(std::string pointer, std::string reason) {
  Error error;
  error.code = ErrorCode::kUnprocessable;
  error.message = "The JSON Schema can't be used: " + reason;
  error.fields.push_back({std::move(pointer), std::move(reason)});
  return fail(std::move(error));
}

}  // namespace

void Validator::Delete::operator()(bh_schema* schema) const { bh_schema_delete(schema); }

Result<Validator> Validator::compile(std::string_view schema_json) {
  if (schema_json.size() > kMaxSchema.value) {
    return refused("", too_large(schema_json, kMaxSchema));
  }
  bh_buffer pointer{};
  bh_buffer reason{};
  Native native(bh_schema_new(bytes_of(schema_json), schema_json.size(), &pointer, &reason));
  std::string place = take(pointer);
  std::string text = take(reason);
  if (!native) return refused(std::move(place), std::move(text));
  return Validator(std::move(native));
}

std::vector<FieldError> Validator::validate(std::string_view document_json) const {
  std::vector<FieldError> problems;
  if (document_json.size() > kMaxDocument.value) {
    problems.push_back({"", too_large(document_json, kMaxDocument)});
    return problems;
  }
  bh_buffer lines{};
  if (bh_schema_validate(native_.get(), bytes_of(document_json), document_json.size(), kMaxProblems, &lines)) {
    return problems;
  }
  const std::string text = take(lines);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const boost::json::array line = boost::json::parse(rest.substr(0, end)).as_array();
    problems.push_back({std::string(line.at(0).as_string()), std::string(line.at(1).as_string())});
    rest.remove_prefix(end + 1);
  }
  return problems;
}

Status check_schema(std::string_view schema_json) {
  BH_TRY([[maybe_unused]] const auto validator, Validator::compile(schema_json));
  return {};
}

}  // namespace bulkhead::schema
