// Versions, names, hosts, paths and endpoint paths: the small grammars that manifests are made of.
#include "base/error.h"
#include "features/bundles/egress.h"
#include "features/bundles/endpoint_path.h"
#include "features/bundles/name.h"
#include "features/bundles/paths.h"
#include "features/bundles/semver.h"

using namespace bulkhead::bundles;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view left = text.substr(0, size / 2), right = text.substr(size / 2);
  if (const auto version = Semver::parse(text)) BH_ASSERT(Semver::parse(version->text()) == version);
  const auto first = Semver::parse(left), second = Semver::parse(right);
  if (first && second) BH_ASSERT((*first < *second) == (*second > *first));
  if (!name_problem(text)) BH_ASSERT(prefix_covers(text, text) && !prefix_problem(text));
  if (const auto pattern = EgressPattern::parse(text)) {
    BH_ASSERT(EgressPattern::parse(pattern->to_string()) == pattern);
    BH_ASSERT(pattern->covers(*pattern));
  }
  if (!path_problem(text)) BH_ASSERT(fold_case(fold_case(text)) == fold_case(text));
  if (const auto path = parse_endpoint_path(text)) {
    const auto again = parse_endpoint_path(path->text);
    BH_ASSERT(again && again->segments == path->segments);
    BH_ASSERT(overlap(path->segments, again->segments) == Overlap::kSame);
  }
  if (left.size() < 64 && right.size() < 64) (void)glob_matches(left, right);
  return 0;
}
