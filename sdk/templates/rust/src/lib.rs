//! Counts visits by name in the install's own store. The endpoints are in manifest.json, the tests in tests/.

use bulkhead_extension::{export, log_info, storage, Code, Request, Response, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Visits<'a> {
    name: &'a str,
    visits: u64,
}

// Writes on condition of the version that was read: of two visits at once, one is refused and counts again.
fn count(name: &str) -> Result<u64> {
    loop {
        let before = storage::get::<u64>(name)?;
        let visits = before.as_ref().map_or(0, |stored| stored.value) + 1;
        let unchanged = storage::Set::if_version(before.map_or(0, |stored| stored.version));
        match storage::set_with(name, &visits, unchanged) {
            Err(error) if error.code() == Some(Code::Conflict) => continue,
            written => written?,
        };
        log_info!("a visit by {name}");
        return Ok(visits);
    }
}

fn handle(request: &Request) -> Result<Response> {
    let name = request.param("name").unwrap_or_default();
    let visits = match request.handler() {
        "count" => count(name)?,
        _ => storage::get(name)?.map_or(0, |stored| stored.value),
    };
    Response::json(200, &Visits { name, visits })
}

export!(handle);

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_extension::{json, testing};

    #[test]
    fn counts_again_when_somebody_else_was_first() {
        let request = testing::http("POST", "/visits/ann").handler("count").param("name", "ann").build();
        let mut writes = 0;
        let host = move |call: &str, request: bulkhead_extension::Value| match call {
            "storage.get" => Ok(json!({ "value": 6 + writes, "version": 1 + writes })),
            "storage.set" if request["if_version"] == 2 => Ok(json!({ "version": 3 })),
            "storage.set" => {
                writes += 1;
                Err(Code::Conflict)
            }
            _ => Err(Code::Denied),
        };
        let (answer, log) = testing::with_host(host, || handle(&request));
        assert_eq!(answer.unwrap().body, br#"{"name":"ann","visits":8}"#);
        assert_eq!(log, ["log_info: a visit by ann"]);
    }
}
