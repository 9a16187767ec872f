// The host call secrets.get (api/abi/secrets.get.json), and the handles by which http.fetch puts a secret into a header
// without showing it to the guest.
//
// A handle is 128 random bits that mean one secret of one install in one execution: it is kept with the execution's
// entry in the ExecutionTable and dies with it. It holds a name, not a value: the value is read when it is used, so one
// that was changed meanwhile is the new one.
#pragma once

#include "features/broker/host_function.h"
#include "features/egress/secret_resolver.h"
#include "features/secrets/secret_service.h"

namespace bulkhead::secrets {

// "secrets.get". All outlive the functions; `random` is thread-safe.
broker::HostFunctions secret_functions(SecretService& service, Random& random);

// Whether a value may leave for an address without TLS.
enum class PlainHttp : std::uint8_t { kRefuse, kAllow };

// What http.fetch asks. Outlives the EgressService.
class SecretHandles final : public egress::SecretResolver {
 public:
  SecretHandles(SecretService& service, PlainHttp plain) : service_(service), plain_(plain) {}
  Task<Result<SecretString>> resolve(broker::HostCallContext context, std::string handle,
                                     egress::SecretDestination destination) override;

 private:
  SecretService& service_;
  PlainHttp plain_;
};

}  // namespace bulkhead::secrets
