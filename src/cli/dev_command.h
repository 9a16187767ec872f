// `bulkhead ext dev`: watches a project; at every change builds, packs, signs, publishes and installs it, and shows its
// log. See run_dev for the options' meaning.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace bulkhead::cli {

struct DevOptions {
  std::string folder = ".";
  std::string key;                  // signing key, trusted by the server; empty = signing.key in the folder
  std::string config;               // JSON file with the install's settings
  std::vector<std::string> grants;  // empty: all that the manifest asks for
  std::vector<std::string> egress;  // the same
  bool private_server = false;      // a platform of its own instead of the server
  bool once = false;                // ends after the first installation
};

// Published versions are immutable, so each round gets a version of its own: 1.2.0-dev.1, 1.2.0-dev.2, … A failure of a
// round is shown and the next change waited for. Ends by SIGINT or SIGTERM: kOk, or the failure's code with `once`.
int run_dev(const Globals& globals, const DevOptions& options);

}  // namespace bulkhead::cli
