#define BULKHEAD_IMPLEMENTATION
#include "bulkhead.h"
