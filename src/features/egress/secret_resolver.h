// SecretResolver: the port by which a secret gets into a header of http.fetch without entering the guest. The guest
// holds a handle (secrets.get with handle: true), which stands for the value in one execution only.
//
// Implemented by the room that keeps secrets; outlives the EgressService. Called on the core of the execution.
#pragma once

#include <string>
#include <string_view>

#include "base/secret_string.h"
#include "features/broker/host_function.h"
#include "platform/async/task.h"

namespace bulkhead::egress {

// Where the value would go. The host and port are granted to the install.
struct SecretDestination {
  bool https = false;
  std::string host;  // lower case
  std::uint16_t port = 0;
};

class SecretResolver {
 public:
  virtual ~SecretResolver() = default;
  // kNotFound: the handle is not one of this execution. kCapabilityDenied: the secret may not go there. Anything else
  // is our fault. Neither an error's message nor its detail may hold the value.
  virtual Task<Result<SecretString>> resolve(broker::HostCallContext context, std::string handle,
                                             SecretDestination destination) = 0;
};

}  // namespace bulkhead::egress
