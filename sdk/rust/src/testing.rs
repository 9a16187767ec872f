//! For `cargo test` of a handler: a host of the test's own making. Not there on wasm32.
//!
//! ```
//! use bulkhead_extension::{json, storage, testing, Code, Request, Response, Result};
//!
//! fn handle(request: &Request) -> Result<Response> {
//!     let stored = storage::get::<u64>(request.param("name").unwrap_or(""))?;
//!     Response::json(200, &stored.map(|stored| stored.value))
//! }
//!
//! let request = testing::http("GET", "/visits/ann").param("name", "ann").build();
//! let (answer, log) = testing::with_host(
//!     |call, request| match (call, request["key"].as_str()) {
//!         ("storage.get", Some("ann")) => Ok(json!({ "value": 7, "version": 1 })),
//!         _ => Err(Code::Denied),
//!     },
//!     || handle(&request),
//! );
//! assert_eq!(answer.unwrap().body, b"7");
//! assert!(log.is_empty());
//! ```

use crate::{Code, Context, HttpCall, Reason, Request};
use serde_json::Value;
use std::cell::RefCell;

type Host = Box<dyn FnMut(&str, Value) -> Result<Value, Code>>;

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs `test` with `host` answering every host call of this thread, and gives its result and the lines of its log
/// (`log_info: a visit`).
pub fn with_host<R>(
    host: impl FnMut(&str, Value) -> Result<Value, Code> + 'static,
    test: impl FnOnce() -> R,
) -> (R, Vec<String>) {
    HOST.with(|cell| *cell.borrow_mut() = Some(Box::new(host)));
    LOG.with(|log| log.borrow_mut().clear());
    let result = test();
    HOST.with(|cell| *cell.borrow_mut() = None);
    (result, LOG.with(RefCell::take))
}

/// Without a host every call is denied, as it is without a grant.
pub(crate) fn answer(name: &str, request: &[u8]) -> (i32, Vec<u8>) {
    let request = serde_json::from_slice(request).expect("the library writes JSON");
    // Taken out while it runs: a host may use the library itself.
    let Some(mut host) = HOST.with(RefCell::take) else {
        return (Code::Denied.into(), Vec::new());
    };
    let answer = host(name, request);
    HOST.with(|cell| *cell.borrow_mut() = Some(host));
    match answer {
        Ok(value) => (0, value.to_string().into_bytes()),
        Err(code) => (code.into(), Vec::new()),
    }
}

pub(crate) fn keep_line(level: &str, line: &str) {
    LOG.with(|log| log.borrow_mut().push(format!("{level}: {line}")));
}

/// An HTTP call for a test; [`build`](TestCall::build) makes the [`Request`].
#[must_use]
pub struct TestCall {
    context: Context,
    http: HttpCall,
}

/// Begins an HTTP call.
pub fn http(method: &str, path: &str) -> TestCall {
    let http = HttpCall { method: method.to_owned(), path: path.to_owned(), ..HttpCall::default() };
    TestCall { context: Context::default(), http }
}

impl TestCall {
    /// The endpoint's `handler`.
    pub fn handler(mut self, handler: &str) -> Self {
        self.http.handler = handler.to_owned();
        self
    }

    /// A path parameter.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.http.params.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A query key.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.http.query.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A header; `name` in lower case.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.http.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The body, as JSON.
    pub fn json(mut self, body: &Value) -> Self {
        self.http.body = body.to_string().into_bytes();
        self
    }

    /// The install's settings.
    pub fn config(mut self, settings: Value) -> Self {
        self.context.settings = Some(settings);
        self
    }

    /// The request.
    pub fn build(self) -> Request {
        Request { context: self.context, reason: Reason::Http(self.http) }
    }
}
