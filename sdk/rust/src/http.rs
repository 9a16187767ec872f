//! HTTP to the hosts that the manifest names and the install grants. Needs the capability `http.fetch`.
//!
//! ```no_run
//! use bulkhead_extension::{http, json, Result};
//!
//! fn notify(order: u64) -> Result<u16> {
//!     let answer = http::post("https://hooks.example.com/orders").json(&json!({ "order": order }))?.timeout_ms(2000).send()?;
//!     Ok(answer.status)
//! }
//! ```

use crate::secrets::SecretHandle;
use crate::{abi, base64, Error, Result};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum HeaderValue {
    Text(String),
    Secret {
        secret_handle: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        prefix: String,
    },
}

/// A request that is being made; [`send`](Fetch::send) sends it.
#[derive(Clone, Debug, Serialize)]
#[must_use]
pub struct Fetch {
    method: String,
    url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, HeaderValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<Redirect>,
}

/// What becomes of an answer that redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Redirect {
    /// It is followed, at most 5 times, each within the same rules. What is done unless said otherwise.
    Follow,
    /// It is the answer.
    Manual,
    /// It is an error.
    Error,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    body_b64: String,
    /// Where the answer came from, after redirects.
    #[serde(default)]
    pub url: String,
}

/// A request of any method: GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE.
pub fn request(method: &str, url: impl Into<String>) -> Fetch {
    let (headers, method) = (BTreeMap::new(), method.to_owned());
    Fetch { method, url: url.into(), headers, body_b64: None, timeout_ms: None, redirect: None }
}

/// A GET.
pub fn get(url: impl Into<String>) -> Fetch {
    request("GET", url)
}

/// A POST.
pub fn post(url: impl Into<String>) -> Fetch {
    request("POST", url)
}

/// A PUT.
pub fn put(url: impl Into<String>) -> Fetch {
    request("PUT", url)
}

/// A DELETE.
pub fn delete(url: impl Into<String>) -> Fetch {
    request("DELETE", url)
}

impl Fetch {
    /// Sets a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), HeaderValue::Text(value.into()));
        self
    }

    /// Sets a header to `prefix` and a secret's value, which the host puts in: it never enters the guest.
    pub fn secret_header(mut self, name: &str, prefix: &str, secret: &SecretHandle) -> Self {
        let value = HeaderValue::Secret { secret_handle: secret.0.clone(), prefix: prefix.to_owned() };
        self.headers.insert(name.to_owned(), value);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body_b64 = Some(base64::encode(body.as_ref()));
        self
    }

    /// Sets the body to a value as JSON, and `content-type`.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| Error::json("http.fetch", error))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// How long it may take; never beyond the deadline of the call.
    pub fn timeout_ms(mut self, milliseconds: u32) -> Self {
        self.timeout_ms = Some(milliseconds);
        self
    }

    /// What becomes of an answer that redirects.
    pub fn redirect(mut self, redirect: Redirect) -> Self {
        self.redirect = Some(redirect);
        self
    }

    /// Sends it. An answer of any status is Ok.
    pub fn send(&self) -> Result<Response> {
        abi::call("http.fetch", abi::http_fetch, self)
    }
}

impl Response {
    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        base64::decode(&self.body_b64).unwrap_or_default()
    }

    /// The body as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body()).map_err(|error| Error::json("http.fetch", error))
    }
}
