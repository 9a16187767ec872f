#include "server/reference_docs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace bulkhead::server {
namespace {

// ctest runs in the project's folder.
void expect_page(const std::string& path, const std::string& page) {
  if (std::getenv("BH_UPDATE_DOCS") != nullptr) std::ofstream(path) << page;
  std::ostringstream found;
  found << std::ifstream(path).rdbuf();
  EXPECT_EQ(found.str(), page) << path << " is out of date: run the test with BH_UPDATE_DOCS=1";
}

TEST(ReferenceDocs, ErrorsPageIsWhatTheRegistrySays) { expect_page("docs/errors.md", errors_page()); }

TEST(ReferenceDocs, ConfigurationPageIsWhatTheSettingsSay) {
  expect_page("docs/configuration.md", configuration_page());
}

}  // namespace
}  // namespace bulkhead::server
