// While one lives, libarchive on this thread takes names as UTF-8 instead of by the process's locale ("C" in a service,
// where names beyond ASCII would be lost).
#pragma once

#include <clocale>

namespace bulkhead::bundles {

class Utf8Locale {
 public:
  Utf8Locale() : mine_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), previous_(mine_ ? uselocale(mine_) : nullptr) {}
  ~Utf8Locale() {
    if (mine_ == nullptr) return;
    uselocale(previous_);
    freelocale(mine_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t mine_;
  locale_t previous_;
};

}  // namespace bulkhead::bundles
