#include "platform/kms/envelopes.h"

namespace bulkhead::kms {
namespace {

// A data key serves one tenant: another one's envelope can't be opened with it even by exchanging the wrapped keys.
std::string binding_of(const TenantId& tenant) { return "tenant:" + tenant.to_string(); }

SecretString fresh_data_key(Random& random) {
  SecretString key = SecretString::of_size(kKeySize);
  random.fill({reinterpret_cast<std::uint8_t*>(key.writable().data()), key.size()});
  return key;
}

}  // namespace

Envelopes::Envelopes(Parts parts, DataKeyLimits limits)
    : parts_(parts),
      keys_(parts.clock, limits),
      wraps_(parts.registry.counter("kms_wraps_total", "Data keys wrapped by the KMS.")),
      unwraps_(parts.registry.counter("kms_unwraps_total", "Data keys unwrapped by the KMS.")),
      refused_(parts.registry.counter("envelopes_refused_total",
                                      "Encrypted values that were damaged or not in their place.")) {}

Task<Result<SealingKey>> Envelopes::sealing_key(TenantId tenant, std::size_t size) {
  if (auto key = keys_.take_sealing_key(tenant, parts_.kms.current_kid(), size)) co_return std::move(*key);
  SecretString fresh = fresh_data_key(parts_.random);
  wraps_.add();
  BH_CO_TRY(WrappedKey wrapped, co_await parts_.kms.wrap(fresh.copy(), binding_of(tenant)));
  const SealingKey key{.wrapped = std::move(wrapped), .key = std::make_shared<const SecretString>(std::move(fresh))};
  keys_.begin_epoch(tenant, key, size);
  keys_.keep(tenant, key.wrapped, key.key);
  co_return key;
}

Task<Result<DataKeyPtr>> Envelopes::data_key(TenantId tenant, const Envelope& envelope) {
  if (auto key = keys_.find(tenant, envelope.kid, envelope.wrapped_key)) co_return key;
  const WrappedKey wrapped{.kid = envelope.kid, .bytes = envelope.wrapped_key};
  unwraps_.add();
  auto unwrapped = co_await parts_.kms.unwrap(wrapped, binding_of(tenant));
  if (!unwrapped) {
    if (unwrapped.error().code == ErrorCode::kEnvelopeInvalid) refused_.add();
    co_return fail(std::move(unwrapped.error()));
  }
  auto key = std::make_shared<const SecretString>(std::move(*unwrapped));
  keys_.keep(tenant, wrapped, key);
  co_return key;
}

Result<SecretString> Envelopes::decrypt(const Place& place, const Envelope& envelope, const SecretString& key) {
  auto plaintext = aes_gcm_open(key.view(), envelope.iv, associated_data(place), envelope.ciphertext, envelope.tag);
  if (plaintext) return std::move(*plaintext);
  refused_.add();
  return fail(ErrorCode::kEnvelopeInvalid, {}, "envelope: does not open in " + place.table + "." + place.column);
}

Task<Result<std::string>> Envelopes::seal(Place place, SecretString plaintext) {
  if (plaintext.size() > kMaxPlaintext) {
    co_return fail(ErrorCode::kPayloadTooLarge,
                   "An encrypted value holds at most " + to_string(Bytes{kMaxPlaintext}) + ".");
  }
  BH_CO_TRY(const SealingKey sealing, co_await sealing_key(place.tenant, plaintext.size()));
  Envelope envelope{
      .kid = sealing.wrapped.kid, .wrapped_key = sealing.wrapped.bytes, .iv = {}, .ciphertext = {}, .tag = {}};
  parts_.random.fill(envelope.iv);
  Sealed sealed = aes_gcm_seal(sealing.key->view(), envelope.iv, associated_data(place), plaintext.view());
  envelope.ciphertext = std::move(sealed.ciphertext);
  envelope.tag = sealed.tag;
  co_return to_text(envelope);
}

std::optional<Result<SecretString>> Envelopes::open_now(const Place& place, std::string_view text) {
  const auto envelope = parse_envelope(text);
  if (!envelope) {
    refused_.add();
    return fail(envelope.error());
  }
  const DataKeyPtr key = keys_.find(place.tenant, envelope->kid, envelope->wrapped_key);
  if (!key) return std::nullopt;
  return decrypt(place, *envelope, *key);
}

Task<Result<SecretString>> Envelopes::open(Place place, std::string text) {
  if (auto opened = open_now(place, text)) co_return std::move(*opened);
  BH_CO_TRY(const Envelope envelope, parse_envelope(text));
  BH_CO_TRY(const DataKeyPtr key, co_await data_key(place.tenant, envelope));
  co_return decrypt(place, envelope, *key);
}

Task<Result<std::string>> Envelopes::rewrap(Place place, std::string text) {
  BH_CO_TRY(Envelope envelope, parse_envelope(text));
  if (envelope.kid == parts_.kms.current_kid()) co_return text;
  BH_CO_TRY(const DataKeyPtr key, co_await data_key(place.tenant, envelope));
  // A damaged value must not pass for a rewrapped one.
  BH_CO_TRY_VOID(decrypt(place, envelope, *key));
  wraps_.add();
  BH_CO_TRY(WrappedKey wrapped, co_await parts_.kms.wrap(key->copy(), binding_of(place.tenant)));
  envelope.kid = std::move(wrapped.kid);
  envelope.wrapped_key = std::move(wrapped.bytes);
  co_return to_text(envelope);
}

Task<Result<std::string>> Envelopes::reencrypt(Place place, std::string text) {
  BH_CO_TRY(SecretString plaintext, co_await open(place, std::move(text)));
  keys_.end_epoch(place.tenant);
  co_return co_await seal(std::move(place), std::move(plaintext));
}

Result<std::string> kid_of(std::string_view envelope_text) {
  BH_TRY(Envelope envelope, parse_envelope(envelope_text));
  return std::move(envelope.kid);
}

}  // namespace bulkhead::kms
