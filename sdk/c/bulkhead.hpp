// bulkhead.h for C++20, freestanding: texts that compare and concatenate, JSON look-ups by [], objects and arrays that
// close themselves. One C file of the project still defines BULKHEAD_IMPLEMENTATION.
//
//   int32_t bh_handle(const bh_request* request, bh_response* response) {
//     using namespace bulkhead;
//     Object answer;
//     answer.put("name", Text(bh_param(request, "name"_t)));
//     return bh_answer_json(response, 200, answer.done());
//   }
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bulkhead.h"

namespace bulkhead {

// UTF-8 with a length; never owns.
struct Text : bh_text {
  constexpr Text() : bh_text{nullptr, 0} {}
  constexpr Text(bh_text text) : bh_text(text) {}
  constexpr Text(const char* text, uint32_t length) : bh_text{text, length} {}

  constexpr bool empty() const { return size == 0; }
  friend bool operator==(Text a, Text b) { return bh_equal(a, b); }
  friend Text operator+(Text a, Text b) { return bh_concat(a, b); }
};

inline namespace literals {
constexpr Text operator""_t(const char* text, decltype(sizeof 0) length) {
  return {text, static_cast<uint32_t>(length)};
}
}  // namespace literals

// A piece of valid JSON; absent where a look-up found nothing, so that look-ups can be chained.
class Json {
 public:
  constexpr Json(bh_json json = {nullptr, 0}) : json_(json) {}
  static Json parse(Text text) {
    bh_json json{nullptr, 0};
    return bh_parse(text, &json) ? Json(json) : Json();
  }

  constexpr operator bh_json() const { return json_; }
  explicit operator bool() const { return json_.size != 0; }
  Json operator[](Text name) const { return bh_member(json_, name); }
  bh_kind kind() const { return bh_kind_of(json_); }
  Text text(Text otherwise = {}) const {
    bh_text found{nullptr, 0};
    return bh_string(json_, &found) ? Text(found) : otherwise;
  }
  int64_t integer(int64_t otherwise = 0) const {
    int64_t found = 0;
    return bh_integer(json_, &found) ? found : otherwise;
  }
  bool boolean(bool otherwise = false) const {
    bool found = false;
    return bh_boolean(json_, &found) ? found : otherwise;
  }

 private:
  bh_json json_;
};

// {"a":1}: put members, then take done().
class Object {
 public:
  Object() { bh_open_object(&writer_); }
  Object& put(Text name, Text value) { return name_it(name), bh_put_string(&writer_, value), *this; }
  Object& put(Text name, Json value) { return name_it(name), bh_put_json(&writer_, value), *this; }
  Object& put(Text name, int64_t value) { return name_it(name), bh_put_integer(&writer_, value), *this; }
  Object& put(Text name, double value) { return name_it(name), bh_put_number(&writer_, value), *this; }
  Object& put(Text name, bool value) { return name_it(name), bh_put_boolean(&writer_, value), *this; }
  Json done() {
    bh_close_object(&writer_);
    return bh_written(&writer_);
  }

 private:
  void name_it(Text name) { bh_put_name(&writer_, name); }
  bh_writer writer_{};
};

// [1,2]: push elements, then take done().
class Array {
 public:
  Array() { bh_open_array(&writer_); }
  Array& push(Text value) { return bh_put_string(&writer_, value), *this; }
  Array& push(Json value) { return bh_put_json(&writer_, value), *this; }
  Array& push(int64_t value) { return bh_put_integer(&writer_, value), *this; }
  Json done() {
    bh_close_array(&writer_);
    return bh_written(&writer_);
  }

 private:
  bh_writer writer_{};
};

}  // namespace bulkhead
