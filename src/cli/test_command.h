// `bulkhead ext test`: runs an extension's tests/*.json against the real platform, started privately for the occasion
// on a temporary data folder: packed, signed with a key made on the spot, published, installed with all it asks for,
// called through the gateway.
#pragma once

#include <string>

#include "cli/command.h"

namespace bulkhead::cli {

// kTestsFailed when a step's answer is not what it expects.
int run_extension_tests(const Globals& globals, const std::string& folder);

}  // namespace bulkhead::cli
