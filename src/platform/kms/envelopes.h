// Envelopes: encrypts and decrypts values as envelopes v1 (envelope.h), with data keys wrapped by a Kms. The one way to
// fill and read an `_enc` column.
//
// A value opens only at the place it was sealed for. Data keys are per tenant and epoch, kept in memory within bounds
// (data_keys.h), so sealing and opening ask the Kms seldom. Thread-safe; runs on the caller's core.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "platform/async/task.h"
#include "platform/kms/data_keys.h"
#include "platform/kms/envelope.h"
#include "platform/kms/kms.h"
#include "platform/observe/metrics.h"

namespace bulkhead::kms {

class Envelopes {
 public:
  // All outlive this; `random` is thread-safe.
  struct Parts {
    Kms& kms;
    const Clock& clock;
    Random& random;
    metrics::Registry& registry;
  };
  explicit Envelopes(Parts parts, DataKeyLimits limits = {});

  // Gives the envelope's text. kPayloadTooLarge over kMaxPlaintext; the Kms's errors.
  Task<Result<std::string>> seal(Place place, SecretString plaintext);
  // kEnvelopeInvalid: damaged, or sealed for another place; the Kms's errors.
  Task<Result<SecretString>> open(Place place, std::string text);
  // `open` without waiting: nothing where the Kms has to be asked.
  std::optional<Result<SecretString>> open_now(const Place& place, std::string_view text);

  // The same value and data key, wrapped under the current key-encryption key. Unchanged when it is already.
  Task<Result<std::string>> rewrap(Place place, std::string text);
  // The same value under a data key that has sealed nothing before, for when one leaked.
  Task<Result<std::string>> reencrypt(Place place, std::string text);

  // What new envelopes are wrapped under.
  std::string current_kid() const { return parts_.kms.current_kid(); }
  // Ends the time of cached data keys that are past it. Call it now and then.
  void drop_expired() { keys_.drop_expired(); }

 private:
  Task<Result<SealingKey>> sealing_key(TenantId tenant, std::size_t size);
  Task<Result<DataKeyPtr>> data_key(TenantId tenant, const Envelope& envelope);
  Result<SecretString> decrypt(const Place& place, const Envelope& envelope, const SecretString& key);

  Parts parts_;
  DataKeys keys_;
  metrics::Counter& wraps_;
  metrics::Counter& unwraps_;
  metrics::Counter& refused_;
};

// The key version that an envelope's data key is wrapped under: what rotation selects by. kEnvelopeInvalid.
Result<std::string> kid_of(std::string_view envelope_text);

}  // namespace bulkhead::kms
