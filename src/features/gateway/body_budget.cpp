#include "features/gateway/body_budget.h"

namespace bulkhead::gateway {
namespace {

constexpr std::uint32_t kRetryAfterMs = 1'000;

std::unexpected<Error> refused(ErrorCode code, std::string message) {
  Error error = fail(code, std::move(message)).error();
  error.retry_after_ms = kRetryAfterMs;
  return fail(std::move(error));
}

}  // namespace

BodyBudget::Share::~Share() {
  if (taken_ == 0) return;
  const std::scoped_lock lock(budget_.mutex_);
  budget_.taken_ -= taken_;
  const auto tenant = budget_.tenants_.find(tenant_);
  tenant->second -= taken_;
  if (tenant->second == 0) budget_.tenants_.erase(tenant);
}

Status BodyBudget::Share::take(std::size_t bytes) {
  const std::scoped_lock lock(budget_.mutex_);
  if (budget_.taken_ + bytes > budget_.whole_) {
    return refused(ErrorCode::kOverloaded, "Too many request bodies are under way.");
  }
  std::uint64_t& tenant = budget_.tenants_[tenant_];
  if (tenant + bytes > budget_.per_tenant_) {
    if (tenant == 0) budget_.tenants_.erase(tenant_);
    return refused(ErrorCode::kConcurrencyExceeded, "Too many of the organization's request bodies are under way.");
  }
  tenant += bytes;
  budget_.taken_ += bytes;
  taken_ += bytes;
  return {};
}

}  // namespace bulkhead::gateway
