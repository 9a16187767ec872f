//! The install's secrets: named in the manifest, set by the install's admin. Need the capability `secrets.get`.

use crate::{abi, Code, Result};
use serde::{Deserialize, Serialize};

/// Stands for a secret's value in a header of [`http`](crate::http) within this call. The value never enters the guest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct SecretHandle(pub(crate) String);

#[derive(Serialize)]
struct Get<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    handle: bool,
}

#[derive(Deserialize)]
struct Secret {
    value: String,
}

#[derive(Deserialize)]
struct Handle {
    handle: SecretHandle,
}

/// A secret's value, or None if it is not set. Prefer [`handle`] where it only goes into a header.
pub fn get(key: &str) -> Result<Option<String>> {
    optional(abi::call("secrets.get", abi::secrets_get, &Get { key, handle: false }))
        .map(|found| found.map(|secret: Secret| secret.value))
}

/// A handle of a secret, or None if it is not set.
///
/// ```no_run
/// # use bulkhead_extension::{http, secrets, Error, Result};
/// # fn send() -> Result<http::Response> {
/// let key = secrets::handle("api_key")?.ok_or(Error::problem(503, "not_set_up", "Set the secret api_key."))?;
/// http::post("https://api.example.com/orders").secret_header("authorization", "Bearer ", &key).send()
/// # }
/// ```
pub fn handle(key: &str) -> Result<Option<SecretHandle>> {
    optional(abi::call("secrets.get", abi::secrets_get, &Get { key, handle: true }))
        .map(|found| found.map(|made: Handle| made.handle))
}

fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
        other => other.map(Some),
    }
}
