// Checks the C++ header inside a guest and answers with the names of the checks that failed.
#include "bulkhead.hpp"

using namespace bulkhead;

namespace {

Array failed;

void check(bool holds, Text name) {
  if (!holds) failed.push(name);
}

void check_texts() {
  check("ab"_t == "a"_t + "b"_t, "concatenation"_t);
  check(!("ab"_t == "ac"_t) && Text().empty(), "comparison"_t);
}

void check_json() {
  const Json json = Json::parse(R"({"a":{"b":"é","n":-7,"yes":true,"list":[1]}})"_t);
  check(json["a"_t]["b"_t].text() == "é"_t, "text"_t);
  check(json["a"_t]["n"_t].integer() == -7 && json["a"_t]["b"_t].integer(3) == 3, "integer"_t);
  check(json["a"_t]["yes"_t].boolean() && !json["none"_t]["yes"_t].boolean(), "boolean"_t);
  check(json["a"_t]["list"_t].kind() == BH_ARRAY && !json["x"_t], "kind"_t);
  check(!Json::parse("{"_t), "no JSON"_t);
  Object object;
  object.put("t"_t, "q\""_t).put("i"_t, int64_t{1}).put("d"_t, 0.5).put("b"_t, true);
  const Json made = object.put("l"_t, Array().push(int64_t{1}).push("x"_t).done()).done();
  check(Text(made) == R"({"t":"q\"","i":1,"d":5e-1,"b":true,"l":[1,"x"]})"_t, "writing"_t);
}

}  // namespace

int32_t bh_handle(const bh_request* request, bh_response* response) {
  failed = Array();
  check_texts();
  check_json();
  check(Text(bh_param(request, "id"_t)) == "a é\""_t, "param"_t);
  bh_log_info("checked é"_t);
  return bh_answer_json(response, 200, Object().put("failed"_t, failed.done()).done());
}
