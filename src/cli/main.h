// The command line's entry point: parses, runs one command, gives the exit code (command.h).
#pragma once

namespace bulkhead::cli {

int run(int argc, char** argv);

}  // namespace bulkhead::cli
