//! Events to the extensions of the organization that subscribe to them. Need the capability `events.emit`.

use crate::{abi, Result};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Emit<'a, T: ?Sized> {
    topic: &'a str,
    payload: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Emitted {
    id: String,
}

/// Publishes an event and gives its id. It is kept before the answer and delivered at least once.
///
/// ```no_run
/// # fn send() -> bulkhead_extension::Result<()> {
/// bulkhead_extension::events::emit("orders.created", &serde_json::json!({ "id": 1 }))?;
/// # Ok(())
/// # }
/// ```
pub fn emit<T: Serialize + ?Sized>(topic: &str, payload: &T) -> Result<String> {
    send(topic, payload, None)
}

/// The same with an id of one's own: the same id of the same topic is published once.
pub fn emit_once<T: Serialize + ?Sized>(topic: &str, id: &str, payload: &T) -> Result<String> {
    send(topic, payload, Some(id))
}

fn send<T: Serialize + ?Sized>(topic: &str, payload: &T, id: Option<&str>) -> Result<String> {
    abi::call("events.emit", abi::events_emit, &Emit { topic, payload, id }).map(|emitted: Emitted| emitted.id)
}
