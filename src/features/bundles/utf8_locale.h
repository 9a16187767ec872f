// While one lives, libarchive on this thread takes names as UTF-8 instead of by the process's locale ("C" in a service,
// where names beyond ASCII would be lost).
#pragma once

#include <clocale>

namespace bulkhead::bundles {

class Utf8Locale {
 public:
  Utf8Locale() : previous_(uselocale(unicode())) {}
  ~Utf8Locale() { uselocale(previous_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  // Made once; null (then nothing changes) on a system without it.
  static locale_t unicode() {
    static const locale_t kUnicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return kUnicode;
  }
  locale_t previous_;
};

}  // namespace bulkhead::bundles
