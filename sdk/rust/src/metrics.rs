//! The extension's own metrics, beside those that the platform keeps of it. Need the capability `metrics.emit`.
//!
//! Each combination of labels is a series of its own, and their number is limited: never put ids into labels.
//!
//! ```no_run
//! use bulkhead_extension::metrics;
//!
//! # fn measure() -> bulkhead_extension::Result<()> {
//! metrics::counter("orders_total", 1.0, &[("country", "de")])?;
//! metrics::histogram("order_items", 3.0, &[])?;
//! # Ok(())
//! # }
//! ```

use crate::abi::{self, HostFunction};
use crate::Result;
use serde::{Serialize, Serializer};
use serde_json::Value;

#[derive(Serialize)]
struct Sample<'a> {
    name: &'a str,
    value: f64,
    #[serde(serialize_with = "as_object", skip_serializing_if = "<[_]>::is_empty")]
    labels: &'a [(&'a str, &'a str)],
}

fn as_object<S: Serializer>(labels: &&[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().copied())
}

fn send(call: &'static str, host: HostFunction, name: &str, value: f64, labels: &[(&str, &str)]) -> Result<()> {
    abi::call(call, host, &Sample { name, value, labels }).map(|_: Value| ())
}

/// Adds to a counter.
pub fn counter(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<()> {
    send("metrics.counter", abi::metrics_counter, name, value, labels)
}

/// Sets a gauge.
pub fn gauge(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<()> {
    send("metrics.gauge", abi::metrics_gauge, name, value, labels)
}

/// Adds an observation to a histogram.
pub fn histogram(name: &str, value: f64, labels: &[(&str, &str)]) -> Result<()> {
    send("metrics.histogram", abi::metrics_histogram, name, value, labels)
}
