#include "features/egress/upstream_breakers.h"

namespace bulkhead::egress {

guard::CircuitBreaker* UpstreamBreakers::find(const InstallId& install, std::string_view authority) {
  const auto& bytes = install.uuid().bytes();
  std::string key(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  key += authority;
  if (const auto known = breakers_.find(key); known != breakers_.end()) return &known->second;
  if (breakers_.size() >= most_) {
    std::erase_if(breakers_, [](const auto& entry) { return entry.second.is_quiet(); });
    if (breakers_.size() >= most_) return nullptr;
  }
  return &breakers_.try_emplace(std::move(key), options_, clock_, random_).first->second;
}

}  // namespace bulkhead::egress
