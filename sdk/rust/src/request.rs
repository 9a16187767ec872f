use crate::{base64, Context, Error, Result};
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One call of the extension: who and where ([`Context`]), and why ([`Reason`]).
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// Who calls, in which install, with which settings.
    pub context: Context,
    /// An HTTP call, an event or a schedule.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Why the extension is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Through the gateway.
    Http(HttpCall),
    /// By an event that the extension subscribes to.
    Event(Event),
    /// By a schedule of the manifest, or of [`schedules`](crate::schedules).
    Schedule(ScheduleFiring),
}

/// An HTTP call of one of the manifest's endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct HttpCall {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// Decoded; starts with `/`.
    pub path: String,
    /// The endpoint's `handler` in the manifest.
    #[serde(default)]
    pub handler: String,
    /// Decoded path parameters.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Of a repeated key the last value.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Every value of every key, in order.
    #[serde(default)]
    pub query_all: BTreeMap<String, Vec<String>>,
    /// Names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default, rename = "body_b64", deserialize_with = "bytes")]
    pub body: Vec<u8>,
}

/// An event. It may come more than once: its id tells.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// `billing.statement.created`
    pub topic: String,
    /// The same each time that the event is delivered.
    pub id: String,
    /// The subscription's `handler` in the manifest.
    #[serde(default)]
    pub handler: String,
    /// What the event says.
    #[serde(default)]
    pub payload: Value,
    /// Counts from 1; a repetition has the same id.
    #[serde(default = "first")]
    pub attempt: u32,
    /// The extension that emitted it; empty for the platform's own events.
    #[serde(default)]
    pub source: String,
}

fn first() -> u32 {
    1
}

/// A schedule that is due.
#[derive(Clone, Debug, Deserialize)]
pub struct ScheduleFiring {
    /// The schedule's id.
    pub id: String,
    /// Its `handler`.
    #[serde(default)]
    pub handler: String,
    /// When it was due (RFC 3339); may be empty.
    #[serde(default)]
    pub scheduled_at: String,
    /// What [`schedules`](crate::schedules) was given.
    #[serde(default)]
    pub payload: Value,
}

fn bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    base64::decode(&text).ok_or_else(|| serde::de::Error::custom("body_b64 is not base64"))
}

impl Request {
    /// From the JSON of `api/abi/handler.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::json("request", error))
    }

    /// The HTTP call, if that is the reason.
    pub fn http(&self) -> Option<&HttpCall> {
        match &self.reason {
            Reason::Http(call) => Some(call),
            _ => None,
        }
    }

    /// The manifest's `handler` of the endpoint, subscription or schedule.
    pub fn handler(&self) -> &str {
        match &self.reason {
            Reason::Http(call) => &call.handler,
            Reason::Event(event) => &event.handler,
            Reason::Schedule(firing) => &firing.handler,
        }
    }

    /// A path parameter, decoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.http()?.params.get(name).map(String::as_str)
    }

    /// The last value of a query key.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.http()?.query.get(name).map(String::as_str)
    }

    /// A header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.http()?.headers.get(name).map(String::as_str)
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &[u8] {
        self.http().map_or(&[], |call| &call.body)
    }

    /// The body read as JSON. As an error of a handler it is a 400 that says what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body()).map_err(|error| Error::json("body", error))
    }

    /// The install's settings as the extension's own type. Its fields should have defaults: without settings this reads
    /// an empty object.
    ///
    /// ```
    /// # use bulkhead_extension::{Request, Result};
    /// #[derive(serde::Deserialize)]
    /// struct Config {
    ///     #[serde(default)]
    ///     greeting: String,
    /// }
    ///
    /// fn greeting(request: &Request) -> Result<String> {
    ///     Ok(request.config::<Config>()?.greeting)
    /// }
    /// ```
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        self.context.config()
    }
}
