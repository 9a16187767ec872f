// Lacks `handler`: abi_missing_export.
#include "guest.h"
