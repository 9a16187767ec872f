// Exports `handler` with another type than the ABI's: abi_missing_export.
#include "guest.h"

EXPORT("handler") u64 handler(u64 request) { return request; }
