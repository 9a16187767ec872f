//! Takes webhooks, sends each of them on once, and keeps what became of it.
//!
//! `POST /hooks/:source` needs the header `idempotency-key` (the sender's delivery id) and a JSON body. A delivery is
//! claimed in the store before it is sent, so that two calls at once send it once; one that failed can be sent again.

use bulkhead_extension::{
    events, export, http, json, log_info, log_warn, metrics, secrets, storage, Error, Request, Response, Result, Value,
};
use serde::{Deserialize, Serialize};

const KEEP_SECONDS: u32 = 7 * 24 * 3600;
const DELIVERIES: storage::Space = storage::Space("deliveries");

#[derive(Deserialize)]
struct Config {
    target: String,
    #[serde(default = "default_timeout")]
    timeout_ms: u32,
}

fn default_timeout() -> u32 {
    3000
}

#[derive(Serialize, Deserialize)]
struct Delivery {
    id: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_status: Option<u16>,
}

#[derive(Serialize, Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum State {
    Sending,
    Delivered,
    Failed,
}

fn key_of(source: &str, id: &str) -> String {
    format!("{source}/{id}")
}

// Claims the delivery for this call. Answers the version to write on, or the delivery as it is where it is another's.
fn claim(key: &str, id: &str) -> Result<Result<u64, Delivery>> {
    let present = DELIVERIES.get::<Delivery>(key)?;
    let version = match present {
        Some(stored) if stored.value.state != State::Failed => return Ok(Err(stored.value)),
        Some(stored) => stored.version,
        None => 0,
    };
    let claimed = Delivery { id: id.to_owned(), state: State::Sending, target_status: None };
    let unchanged = storage::Set::if_version(version).ttl_seconds(KEEP_SECONDS);
    match DELIVERIES.set_with(key, &claimed, unchanged) {
        Ok(version) => Ok(Ok(version)),
        Err(error) if error.code() == Some(bulkhead_extension::Code::Conflict) => Ok(Err(claimed)),
        Err(error) => Err(error),
    }
}

fn send(config: &Config, source: &str, id: &str, payload: &Value) -> Result<http::Response> {
    let token = secrets::handle("target_token")?
        .ok_or_else(|| Error::problem(503, "not_set_up", "Set the secret target_token of this install."))?;
    http::post(&config.target)
        .secret_header("authorization", "Bearer ", &token)
        .header("x-delivery-id", id)
        .header("x-delivery-source", source)
        .json(payload)?
        .timeout_ms(config.timeout_ms)
        .send()
}

fn relay(request: &Request) -> Result<Response> {
    let source = request.param("source").unwrap_or_default();
    let id = request.header("x-idempotency-key").unwrap_or_default();
    let payload: Value = request.json()?;
    let config: Config =
        request.config().map_err(|_| Error::problem(503, "not_set_up", "Set target in the settings."))?;
    let key = key_of(source, id);
    let version = match claim(&key, id)? {
        Ok(version) => version,
        Err(delivery) => return Response::json(200, &delivery),
    };
    let sent = send(&config, source, id, &payload);
    let target_status = sent.as_ref().ok().map(|answer| answer.status);
    let state = if sent.as_ref().is_ok_and(http::Response::is_success) { State::Delivered } else { State::Failed };
    let delivery = Delivery { id: id.to_owned(), state, target_status };
    DELIVERIES.set_with(&key, &delivery, storage::Set::if_version(version).ttl_seconds(KEEP_SECONDS))?;
    report(source, &delivery, &sent);
    match sent {
        Err(error @ Error::Problem { .. }) => Err(error),
        _ => Response::json(if state == State::Delivered { 202 } else { 502 }, &delivery),
    }
}

// Events and metrics are extras here: without their grants the relay still relays.
fn report(source: &str, delivery: &Delivery, sent: &Result<http::Response>) {
    let outcome = if delivery.state == State::Delivered { "delivered" } else { "failed" };
    match sent {
        Ok(answer) => log_info!("{source}: {outcome} with status {}", answer.status),
        Err(error) => log_warn!("{source}: {outcome}: {error}"),
    }
    let _ = metrics::counter("relayed_total", 1.0, &[("outcome", outcome)]);
    let _ = events::emit_once(
        &format!("webhook.{outcome}"),
        &delivery.id,
        &json!({ "source": source, "delivery": delivery.id, "status": delivery.target_status }),
    );
}

fn list(request: &Request) -> Result<Response> {
    let prefix = key_of(request.param("source").unwrap_or_default(), "");
    let page =
        DELIVERIES.list(storage::List { prefix: Some(&prefix), cursor: request.query("cursor"), limit: Some(50) })?;
    let mut deliveries = Vec::new();
    for item in &page.items {
        deliveries.extend(DELIVERIES.get::<Delivery>(&item.key)?.map(|stored| stored.value));
    }
    Response::json(200, &json!({ "deliveries": deliveries, "cursor": page.cursor }))
}

fn handle(request: &Request) -> Result<Response> {
    match request.handler() {
        "relay" => relay(request),
        _ => list(request),
    }
}

export!(handle);
