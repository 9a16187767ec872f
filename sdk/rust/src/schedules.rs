//! Schedules of the install, beside those of the manifest. Need the capability `schedules`.
//!
//! ```no_run
//! use bulkhead_extension::{json, schedules};
//!
//! # fn plan() -> bulkhead_extension::Result<()> {
//! let made = schedules::daily_at(3, 0, "report").timezone("Europe/Berlin").payload(json!({ "to": "ann" })).register()?;
//! bulkhead_extension::log_info!("the next report is at {}", made.next_at);
//! # Ok(())
//! # }
//! ```

use crate::{abi, Code, Result};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// A schedule that is being made; [`register`](Schedule::register) makes it.
#[derive(Clone, Debug, Serialize)]
#[must_use]
pub struct Schedule {
    id: String,
    cron: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

/// What was registered.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Registered {
    /// The schedule's id.
    pub id: String,
    /// When it is due next (RFC 3339).
    pub next_at: String,
}

/// A schedule of five fields: minute, hour, day of the month, month, day of the week.
pub fn cron(id: &str, cron: &str) -> Schedule {
    Schedule { id: id.to_owned(), cron: cron.to_owned(), handler: None, timezone: None, payload: None }
}

/// Once a day.
pub fn daily_at(hour: u8, minute: u8, id: &str) -> Schedule {
    cron(id, &format!("{minute} {hour} * * *"))
}

/// Removes a schedule that [`register`](Schedule::register) made; false if there is none.
pub fn cancel(id: &str) -> Result<bool> {
    match abi::call("schedules.cancel", abi::schedules_cancel, &json!({ "id": id })) {
        Err(error) if error.code() == Some(Code::NotFound) => Ok(false),
        other => other.map(|_: Value| true),
    }
}

impl Schedule {
    /// Given back as `handler` of the call.
    pub fn handler(mut self, handler: &str) -> Self {
        self.handler = Some(handler.to_owned());
        self
    }

    /// An IANA name; UTC without it.
    pub fn timezone(mut self, name: &str) -> Self {
        self.timezone = Some(name.to_owned());
        self
    }

    /// Given back in the call.
    pub fn payload(mut self, payload: Value) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Makes it, or replaces the one of the same id.
    pub fn register(&self) -> Result<Registered> {
        abi::call("schedules.register", abi::schedules_register, self)
    }
}
