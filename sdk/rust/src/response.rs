use crate::{base64, log, Error, Result};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// An HTTP answer. What may pass to the caller is in the gateway's contract: `content-type`, `cache-control`, `etag`,
/// `last-modified`, `location` and `x-ext-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Any bytes.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body_b64: String,
}

impl Response {
    /// Any bytes of any type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::empty(status).header("content-type", content_type).with_body(body)
    }

    /// A value as JSON. `Error::Json` where JSON cannot carry it (a map with keys that are no text).
    ///
    /// ```
    /// # use bulkhead_extension::Response;
    /// #[derive(serde::Serialize)]
    /// struct Order { id: u64 }
    ///
    /// let response = Response::json(201, &Order { id: 1 })?.header("location", "/orders/1");
    /// assert_eq!(response.body, br#"{"id":1}"#);
    /// # Ok::<(), bulkhead_extension::Error>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| Error::json("response", error))?;
        Ok(Self::bytes(status, "application/json", body))
    }

    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text.into())
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: BTreeMap::new(), body: Vec::new() }
    }

    /// A problem document (RFC 9457).
    pub fn problem(status: u16, code: &str, detail: &str) -> Self {
        let document = json!({ "status": status, "code": code, "detail": detail });
        Self::bytes(status, "application/problem+json", document.to_string())
    }

    /// Sets a header; `name` in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The JSON of `api/abi/handler.json`.
    pub fn into_bytes(self) -> Vec<u8> {
        let answer = Answer { status: self.status, headers: &self.headers, body_b64: base64::encode(&self.body) };
        serde_json::to_vec(&answer).expect("texts and numbers are JSON")
    }
}

/// What a handler may give: a [`Response`], or a [`Result`] whose error becomes a problem document and a line in the log.
pub trait IntoAnswer {
    /// The answer.
    fn into_answer(self) -> Response;
}

impl IntoAnswer for Response {
    fn into_answer(self) -> Response {
        self
    }
}

impl IntoAnswer for Result<Response> {
    fn into_answer(self) -> Response {
        self.unwrap_or_else(|error| {
            if !matches!(error, Error::Problem { .. }) {
                log::error(&error.to_string());
            }
            error.to_response()
        })
    }
}
