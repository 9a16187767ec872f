// The definitions of bulkhead.h, first part: memory, text, base64, JSON. Included by it, with the other part.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define BH_IMPORT(name) __attribute__((import_module("alga"), import_name(name)))
#define BH_EXPORT(name) __attribute__((export_name(name), used))

// ---- memory and text ----------------------------------------------------------------------------------------------

extern char __heap_base;
static uint32_t bh_heap_top;

void* bh_alloc(uint32_t size) {
  if (!bh_heap_top) bh_heap_top = ((uint32_t)&__heap_base + 15) & ~15u;
  const uint64_t end = (uint64_t)bh_heap_top + (((uint64_t)size + 15) & ~15ull);
  const uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) << 16;
  if (end > UINT32_MAX) __builtin_trap();
  if (end > have && __builtin_wasm_memory_grow(0, (uint32_t)((end - have + 0xffff) >> 16)) == (uint32_t)-1)
    __builtin_trap();
  void* block = (void*)bh_heap_top;
  bh_heap_top = (uint32_t)end;
  return block;
}

BH_EXPORT("alloc") void* bh_export_alloc(uint32_t size) { return bh_alloc(size); }

bool bh_equal(bh_text a, bh_text b) {
  if (a.size != b.size) return false;
  for (uint32_t i = 0; i < a.size; ++i)
    if (a.data[i] != b.data[i]) return false;
  return true;
}

bh_text bh_concat(bh_text a, bh_text b) {
  char* data = bh_alloc(a.size + b.size);
  __builtin_memcpy(data, a.data, a.size);
  __builtin_memcpy(data + a.size, b.data, b.size);
  return (bh_text){data, a.size + b.size};
}

bh_text bh_decimal(int64_t value) {
  char* end = (char*)bh_alloc(20) + 20;
  char* at = end;
  uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    *--at = (char)('0' + left % 10);
    left /= 10;
  } while (left);
  if (value < 0) *--at = '-';
  return (bh_text){at, (uint32_t)(end - at)};
}

bh_text bh_base64(bh_text bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint32_t size = (uint32_t)(((uint64_t)bytes.size + 2) / 3 * 4);
  char* text = bh_alloc(size);
  for (uint32_t in = 0, out = 0; in < bytes.size; in += 3, out += 4) {
    const uint32_t left = bytes.size - in;
    uint32_t group = (uint32_t)(uint8_t)bytes.data[in] << 16;
    if (left > 1) group |= (uint32_t)(uint8_t)bytes.data[in + 1] << 8;
    if (left > 2) group |= (uint8_t)bytes.data[in + 2];
    text[out] = digits[group >> 18];
    text[out + 1] = digits[group >> 12 & 63];
    text[out + 2] = left > 1 ? digits[group >> 6 & 63] : '=';
    text[out + 3] = left > 2 ? digits[group & 63] : '=';
  }
  return (bh_text){text, size};
}

static int32_t bh_base64_digit(char digit) {
  if (digit >= 'A' && digit <= 'Z') return digit - 'A';
  if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
  if (digit >= '0' && digit <= '9') return digit - '0' + 52;
  return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

bool bh_unbase64(bh_text text, bh_text* bytes) {
  if (text.size % 4) return false;
  char* data = bh_alloc(text.size / 4 * 3);
  uint32_t size = 0;
  for (uint32_t in = 0; in < text.size; in += 4) {
    const bool last = in + 4 == text.size;
    const uint32_t padding = !last || text.data[in + 3] != '=' ? 0 : text.data[in + 2] != '=' ? 1 : 2;
    uint32_t group = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      const int32_t digit = i < 4 - padding ? bh_base64_digit(text.data[in + i]) : 0;
      if (digit < 0) return false;
      group = group << 6 | (uint32_t)digit;
    }
    data[size++] = (char)(group >> 16);
    if (padding < 2) data[size++] = (char)(group >> 8);
    if (padding < 1) data[size++] = (char)group;
  }
  *bytes = (bh_text){data, size};
  return true;
}

// ---- reading JSON -------------------------------------------------------------------------------------------------

static const char* bh_skip_space(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
  return at;
}

static bool bh_is_digit(char c) { return c >= '0' && c <= '9'; }

static int32_t bh_hex_digit(char c) {
  if (bh_is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The four digits after \u, or -1.
static int32_t bh_hex_unit(const char* at, const char* end) {
  if (end - at < 4) return -1;
  int32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int32_t digit = bh_hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

// Each bh_scan_… returns the position behind what it scanned, or 0 where that is not valid.
static const char* bh_scan_string(const char* at, const char* end) {
  if (at == end || *at != '"') return 0;
  for (++at; at < end; ++at) {
    if (*at == '"') return at + 1;
    if ((uint8_t)*at < 0x20) return 0;
    if (*at != '\\') continue;
    if (++at == end) return 0;
    if (*at == 'u') {
      if (bh_hex_unit(at + 1, end) < 0) return 0;
      at += 4;
    } else if (*at != '"' && *at != '\\' && *at != '/' && *at != 'b' && *at != 'f' && *at != 'n' && *at != 'r' &&
               *at != 't') {
      return 0;
    }
  }
  return 0;
}

static const char* bh_scan_digits(const char* at, const char* end) {
  const char* from = at;
  while (at < end && bh_is_digit(*at)) ++at;
  return at == from ? 0 : at;
}

static const char* bh_scan_number(const char* at, const char* end) {
  if (at < end && *at == '-') ++at;
  if (at < end && *at == '0') {
    ++at;
  } else if (!(at = bh_scan_digits(at, end))) {
    return 0;
  }
  if (at < end && *at == '.' && !(at = bh_scan_digits(at + 1, end))) return 0;
  if (at < end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at < end && (*at == '+' || *at == '-')) ++at;
    if (!(at = bh_scan_digits(at, end))) return 0;
  }
  return at;
}

static const char* bh_scan_word(const char* at, const char* end, bh_text word) {
  if ((uint32_t)(end - at) < word.size || !bh_equal((bh_text){at, word.size}, word)) return 0;
  return at + word.size;
}

static const char* bh_scan_value(const char* at, const char* end, uint32_t depth) {
  at = bh_skip_space(at, end);
  if (at == end) return 0;
  if (*at == '"') return bh_scan_string(at, end);
  if (*at == 't') return bh_scan_word(at, end, BH_TEXT("true"));
  if (*at == 'f') return bh_scan_word(at, end, BH_TEXT("false"));
  if (*at == 'n') return bh_scan_word(at, end, BH_TEXT("null"));
  if (*at != '{' && *at != '[') return bh_scan_number(at, end);
  if (depth == 0) return 0;
  const bool object = *at == '{';
  const char close = object ? '}' : ']';
  at = bh_skip_space(at + 1, end);
  if (at < end && *at == close) return at + 1;
  for (;;) {
    if (object) {
      at = bh_scan_string(bh_skip_space(at, end), end);
      if (!at) return 0;
      at = bh_skip_space(at, end);
      if (at == end || *at++ != ':') return 0;
    }
    at = bh_scan_value(at, end, depth - 1);
    if (!at) return 0;
    at = bh_skip_space(at, end);
    if (at == end) return 0;
    if (*at == close) return at + 1;
    if (*at++ != ',') return 0;
  }
}

// The value at the start of text, without the space around it.
static bh_json bh_leading_value(bh_text text) {
  const char* from = bh_skip_space(text.data, text.data + text.size);
  const char* end = bh_scan_value(from, text.data + text.size, 64);
  return end ? (bh_json){from, (uint32_t)(end - from)} : BH_NONE;
}

bool bh_parse(bh_text text, bh_json* value) {
  *value = bh_leading_value(text);
  const char* end = text.data + text.size;
  return value->size && bh_skip_space(value->data + value->size, end) == end;
}

bh_kind bh_kind_of(bh_json value) {
  if (!value.size) return BH_ABSENT;
  switch (*value.data) {
    case '{':
      return BH_OBJECT;
    case '[':
      return BH_ARRAY;
    case '"':
      return BH_STRING;
    case 't':
    case 'f':
      return BH_BOOLEAN;
    case 'n':
      return BH_NULL;
    default:
      return BH_NUMBER;
  }
}

static char* bh_put_utf8(char* at, uint32_t code) {
  if (code < 0x80) {
    *at++ = (char)code;
  } else if (code < 0x800) {
    *at++ = (char)(0xc0 | code >> 6);
    *at++ = (char)(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *at++ = (char)(0xe0 | code >> 12);
    *at++ = (char)(0x80 | (code >> 6 & 63));
    *at++ = (char)(0x80 | (code & 63));
  } else {
    *at++ = (char)(0xf0 | code >> 18);
    *at++ = (char)(0x80 | (code >> 12 & 63));
    *at++ = (char)(0x80 | (code >> 6 & 63));
    *at++ = (char)(0x80 | (code & 63));
  }
  return at;
}

// Decodes \uXXXX at `at` (which points at the first digit), a surrogate pair as one character, half a pair as U+FFFD.
static const char* bh_decode_unit(const char* at, const char* end, uint32_t* code) {
  const int32_t unit = bh_hex_unit(at, end);
  at += 4;
  *code = (uint32_t)unit;
  if (unit < 0xd800 || unit > 0xdfff) return at;
  *code = 0xfffd;
  if (unit > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u') return at;
  const int32_t low = bh_hex_unit(at + 2, end);
  if (low < 0xdc00 || low > 0xdfff) return at;
  *code = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
  return at + 6;
}

bool bh_string(bh_json value, bh_text* out) {
  if (bh_kind_of(value) != BH_STRING) return false;
  const char* at = value.data + 1;
  const char* end = value.data + value.size - 1;
  *out = (bh_text){at, (uint32_t)(end - at)};
  bool escaped = false;
  for (const char* c = at; c < end; ++c) escaped |= *c == '\\';
  if (!escaped) return true;
  char* data = bh_alloc(out->size);
  char* to = data;
  while (at < end) {
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    const char kind = at[1];
    at += 2;
    uint32_t code = 0;
    switch (kind) {
      case 'b':
        *to++ = '\b';
        break;
      case 'f':
        *to++ = '\f';
        break;
      case 'n':
        *to++ = '\n';
        break;
      case 'r':
        *to++ = '\r';
        break;
      case 't':
        *to++ = '\t';
        break;
      case 'u':
        at = bh_decode_unit(at, end, &code);
        to = bh_put_utf8(to, code);
        break;
      default:
        *to++ = kind;
    }
  }
  *out = (bh_text){data, (uint32_t)(to - data)};
  return true;
}

bool bh_integer(bh_json value, int64_t* out) {
  if (bh_kind_of(value) != BH_NUMBER) return false;
  const bool negative = *value.data == '-';
  uint64_t sum = 0;
  for (uint32_t i = negative; i < value.size; ++i) {
    if (!bh_is_digit(value.data[i])) return false;
    const uint64_t digit = (uint64_t)(value.data[i] - '0');
    if (sum > (UINT64_MAX - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  if (sum > (uint64_t)INT64_MAX + negative) return false;
  *out = negative ? (int64_t)(0 - sum) : (int64_t)sum;
  return true;
}

bool bh_boolean(bh_json value, bool* out) {
  if (bh_kind_of(value) != BH_BOOLEAN) return false;
  *out = *value.data == 't';
  return true;
}

bh_iterator bh_iterate(bh_json container) {
  bh_iterator iterator = {BH_NONE, BH_NONE, BH_NONE, bh_kind_of(container)};
  if (iterator.kind == BH_ARRAY || iterator.kind == BH_OBJECT)
    iterator.rest = (bh_text){container.data + 1, container.size - 2};
  return iterator;
}

bool bh_next(bh_iterator* iterator) {
  const char* end = iterator->rest.data + iterator->rest.size;
  const char* at = bh_skip_space(iterator->rest.data, end);
  if (at < end && *at == ',') at = bh_skip_space(at + 1, end);
  if (at == end) return false;
  if (iterator->kind == BH_OBJECT) {
    const bh_json name = bh_leading_value((bh_text){at, (uint32_t)(end - at)});
    if (!bh_string(name, &iterator->name)) return false;
    at = bh_skip_space(name.data + name.size, end) + 1;  // behind the colon
  }
  iterator->value = bh_leading_value((bh_text){at, (uint32_t)(end - at)});
  at = iterator->value.data + iterator->value.size;
  iterator->rest = (bh_text){at, (uint32_t)(end - at)};
  return iterator->value.size != 0;
}

bh_json bh_member(bh_json object, bh_text name) {
  if (bh_kind_of(object) != BH_OBJECT) return BH_NONE;
  for (bh_iterator i = bh_iterate(object); bh_next(&i);)
    if (bh_equal(i.name, name)) return i.value;
  return BH_NONE;
}

// ---- writing JSON -------------------------------------------------------------------------------------------------

static void bh_append(bh_writer* writer, const char* data, uint32_t size) {
  if (size > writer->capacity - writer->size) {
    const uint64_t wanted = ((uint64_t)writer->size + size) * 2 + 64;
    if (wanted > UINT32_MAX) __builtin_trap();
    char* grown = bh_alloc((uint32_t)wanted);
    __builtin_memcpy(grown, writer->data, writer->size);
    writer->data = grown;
    writer->capacity = (uint32_t)wanted;
  }
  __builtin_memcpy(writer->data + writer->size, data, size);
  writer->size += size;
}

// A comma belongs before a value or name unless a bracket or a colon stands there. A string ends in a quotation mark,
// so the last character alone tells.
static void bh_separate(bh_writer* writer) {
  if (!writer->size) return;
  const char last = writer->data[writer->size - 1];
  if (last != '{' && last != '[' && last != ':') bh_append(writer, ",", 1);
}

static void bh_append_quoted(bh_writer* writer, bh_text text) {
  static const char hex[] = "0123456789abcdef";
  bh_append(writer, "\"", 1);
  for (uint32_t from = 0, at = 0; at <= text.size; ++at) {
    const uint8_t c = at < text.size ? (uint8_t)text.data[at] : 0;
    if (at < text.size && c >= 0x20 && c != '"' && c != '\\') continue;
    bh_append(writer, text.data + from, at - from);
    from = at + 1;
    if (at == text.size) break;
    if (c == '"' || c == '\\') {
      const char pair[2] = {'\\', (char)c};
      bh_append(writer, pair, 2);
    } else {
      const char unit[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
      bh_append(writer, unit, 6);
    }
  }
  bh_append(writer, "\"", 1);
}

void bh_open_object(bh_writer* writer) {
  bh_separate(writer);
  bh_append(writer, "{", 1);
}
void bh_close_object(bh_writer* writer) { bh_append(writer, "}", 1); }
void bh_open_array(bh_writer* writer) {
  bh_separate(writer);
  bh_append(writer, "[", 1);
}
void bh_close_array(bh_writer* writer) { bh_append(writer, "]", 1); }
void bh_put_name(bh_writer* writer, bh_text name) {
  bh_separate(writer);
  bh_append_quoted(writer, name);
  bh_append(writer, ":", 1);
}
void bh_put_string(bh_writer* writer, bh_text value) {
  bh_separate(writer);
  bh_append_quoted(writer, value);
}
void bh_put_json(bh_writer* writer, bh_json value) {
  bh_separate(writer);
  if (!value.size) value = BH_TEXT("null");
  bh_append(writer, value.data, value.size);
}
void bh_put_integer(bh_writer* writer, int64_t value) { bh_put_json(writer, bh_decimal(value)); }
void bh_put_boolean(bh_writer* writer, bool value) { bh_put_json(writer, value ? BH_TEXT("true") : BH_TEXT("false")); }
bh_json bh_written(const bh_writer* writer) { return (bh_json){writer->data, writer->size}; }

// Whole numbers as they are; others with 15 significant digits.
void bh_put_number(bh_writer* writer, double value) {
  const double size = value < 0 ? -value : value;
  if (!(size <= 1.7976931348623157e308)) {  // NaN and infinities, which JSON does not have
    bh_put_json(writer, BH_NONE);
    return;
  }
  if (size < 9007199254740992.0 && (double)(int64_t)value == value) {
    bh_put_integer(writer, (int64_t)value);
    return;
  }
  int32_t exponent = 0;
  double mantissa = size;
  for (; mantissa >= 1e15; ++exponent) mantissa /= 10;
  for (; mantissa < 1e14; --exponent) mantissa *= 10;
  int64_t digits = (int64_t)(mantissa + 0.5);
  for (; digits % 10 == 0; ++exponent) digits /= 10;
  const bh_text text = bh_concat(bh_decimal(value < 0 ? -digits : digits), BH_TEXT("e"));
  bh_put_json(writer, bh_concat(text, bh_decimal(exponent)));
}
