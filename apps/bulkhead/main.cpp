// The one program: `bulkhead serve`, its children, and the command line (src/cli).
#include "cli/main.h"

int main(int argc, char** argv) { return bulkhead::cli::run(argc, argv); }
