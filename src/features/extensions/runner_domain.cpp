#include "features/extensions/runner_domain.h"

namespace bulkhead::extensions {
namespace {

std::string hex_digits(const Uuid& id, std::size_t count) {
  std::string digits;
  for (const char c : id.to_string()) {
    if (c != '-' && digits.size() < count) digits += c;
  }
  return digits;
}

}  // namespace

std::vector<std::string> runner_domain_candidates(const TenantId& tenant, const ExtensionId& extension,
                                                  std::string_view root) {
  const std::string suffix = "." + std::string(root.empty() ? "localhost" : root);
  const auto domain = [&](std::size_t tenant_digits, std::size_t extension_digits) {
    return hex_digits(tenant.uuid(), tenant_digits) + "--" + hex_digits(extension.uuid(), extension_digits) + suffix;
  };
  return {domain(8, 8), domain(8, 12), domain(12, 12)};
}

std::string normalized_host(std::string_view host) {
  // Install domains are names, so the only colon is the port's.
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string name(host);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace bulkhead::extensions
