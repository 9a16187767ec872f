//! What each wrapper sends and how it reads the answer: the shapes are those of api/abi/.

use bulkhead_extension::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Runs a call against a host that answers `answer`; gives its result, and the call's name and request.
fn call<R>(answer: Result<Value, Code>, make: impl FnOnce() -> R) -> (R, String, Value) {
    let seen = Rc::new(RefCell::new((String::new(), Value::Null)));
    let keep = Rc::clone(&seen);
    let (result, _) = testing::with_host(
        move |name, request| {
            // The project's end-to-end tests check these lines against the schemas.
            println!("host call {name} {request}");
            *keep.borrow_mut() = (name.to_owned(), request);
            answer.clone()
        },
        make,
    );
    let (name, request) = seen.take();
    (result, name, request)
}

#[test]
fn storage_get_reads_a_typed_value_and_none_where_there_is_none() {
    let (stored, name, request) = call(Ok(json!({"value": [1, 2], "version": 7})), || storage::get::<Vec<u8>>("a"));
    assert_eq!(stored.unwrap(), Some(storage::Stored { value: vec![1, 2], version: 7 }));
    assert_eq!((name.as_str(), request), ("storage.get", json!({"namespace": "default", "key": "a"})));
    assert_eq!(call(Err(Code::NotFound), || storage::get::<u8>("a")).0.unwrap(), None);
    let wrong = call(Ok(json!({"value": "x", "version": 1})), || storage::get::<u8>("a")).0;
    assert!(matches!(wrong, Err(Error::Json { what: "storage.get", .. })));
}

#[test]
fn storage_writes_carry_their_conditions() {
    let (version, name, request) = call(Ok(json!({"version": 3})), || {
        storage::Space("orders").set_with("1", &json!({"x": 1}), storage::Set::if_absent().ttl_seconds(60))
    });
    assert_eq!(version.unwrap(), 3);
    assert_eq!(name, "storage.set");
    let expected = json!({"namespace": "orders", "key": "1", "value": {"x": 1}, "if_version": 0, "ttl_seconds": 60});
    assert_eq!(request, expected);
    let (conflict, ..) = call(Err(Code::Conflict), || storage::set("1", &1));
    assert_eq!(conflict.unwrap_err().code(), Some(Code::Conflict));
    let (removed, name, request) = call(Ok(json!({})), || storage::delete_if("1", 4));
    removed.unwrap();
    assert_eq!(
        (name.as_str(), request),
        ("storage.delete", json!({"namespace": "default", "key": "1", "if_version": 4}))
    );
    let (versions, name, request) = call(Ok(json!({"versions": [1, 2]})), || storage::bulk_put([("a", &1), ("b", &2)]));
    assert_eq!((versions.unwrap(), name.as_str()), (vec![1, 2], "storage.bulk_put"));
    assert_eq!(request["items"], json!([{"key": "a", "value": 1}, {"key": "b", "value": 2}]));
}

#[test]
fn storage_list_gives_a_page_and_its_cursor() {
    let answer = json!({"items": [{"key": "a", "version": 1}], "cursor": "next"});
    let list = storage::List { prefix: Some("a"), limit: Some(1), ..Default::default() };
    let (page, name, request) = call(Ok(answer), || storage::list(list));
    let page = page.unwrap();
    assert_eq!((page.items[0].key.as_str(), page.cursor.as_deref()), ("a", Some("next")));
    assert_eq!((name.as_str(), request), ("storage.list", json!({"namespace": "default", "prefix": "a", "limit": 1})));
}

#[test]
fn http_fetch_sends_headers_secrets_and_a_body() {
    let (handle, name, request) = call(Ok(json!({"handle": "h1"})), || secrets::handle("api_key"));
    assert_eq!((name.as_str(), request), ("secrets.get", json!({"key": "api_key", "handle": true})));
    let key = handle.unwrap().unwrap();
    let answer = json!({"status": 201, "headers": {"x": "y"}, "body_b64": "eyJhIjoxfQ==", "url": "https://b"});
    let (answer, name, request) = call(Ok(answer), || {
        let fetch = http::post("https://a").header("x-a", "1").secret_header("authorization", "Bearer ", &key);
        fetch.json(&json!([1])).unwrap().timeout_ms(5).send()
    });
    let answer = answer.unwrap();
    assert!(answer.is_success());
    assert_eq!((answer.url.as_str(), answer.text().as_str()), ("https://b", r#"{"a":1}"#));
    assert_eq!(answer.json::<Value>().unwrap(), json!({"a": 1}));
    assert_eq!(name, "http.fetch");
    let headers = json!({"x-a": "1", "content-type": "application/json",
                         "authorization": {"secret_handle": "h1", "prefix": "Bearer "}});
    let expected =
        json!({"method": "POST", "url": "https://a", "headers": headers, "body_b64": "WzFd", "timeout_ms": 5});
    assert_eq!(request, expected);
    let (denied, _, request) =
        call(Err(Code::Denied), || http::get("https://c").redirect(http::Redirect::Manual).send());
    assert_eq!(request, json!({"method": "GET", "url": "https://c", "redirect": "manual"}));
    assert_eq!(denied.unwrap_err().code(), Some(Code::Denied));
}

#[test]
fn secrets_that_are_not_set_are_none() {
    let (secret, _, request) = call(Ok(json!({"value": "s"})), || secrets::get("k"));
    assert_eq!((secret.unwrap().as_deref(), request), (Some("s"), json!({"key": "k"})));
    assert_eq!(call(Err(Code::NotFound), || secrets::get("k")).0.unwrap(), None);
}

#[test]
fn events_schedules_and_metrics_have_the_abis_shapes() {
    let (id, name, request) =
        call(Ok(json!({"id": "e"})), || events::emit_once("orders.created", "1", &json!({"n": 1})));
    assert_eq!((id.unwrap().as_str(), name.as_str()), ("e", "events.emit"));
    assert_eq!(request, json!({"topic": "orders.created", "id": "1", "payload": {"n": 1}}));
    let (made, name, request) = call(Ok(json!({"id": "r", "next_at": "2026-01-01T03:00:00Z"})), || {
        schedules::daily_at(3, 0, "r").handler("report").timezone("Europe/Berlin").payload(json!(1)).register()
    });
    assert_eq!((made.unwrap().next_at.as_str(), name.as_str()), ("2026-01-01T03:00:00Z", "schedules.register"));
    let expected =
        json!({"id": "r", "cron": "0 3 * * *", "handler": "report", "timezone": "Europe/Berlin", "payload": 1});
    assert_eq!(request, expected);
    assert!(!call(Err(Code::NotFound), || schedules::cancel("r")).0.unwrap());
    assert!(call(Ok(json!({})), || schedules::cancel("r")).0.unwrap());
    let (done, name, request) = call(Ok(json!({})), || metrics::counter("n", 1.0, &[("a", "b")]));
    done.unwrap();
    assert_eq!((name.as_str(), request), ("metrics.counter", json!({"name": "n", "value": 1.0, "labels": {"a": "b"}})));
    assert_eq!(call(Ok(json!({})), || metrics::gauge("n", 2.5, &[])).2, json!({"name": "n", "value": 2.5}));
    assert_eq!(call(Ok(json!({})), || metrics::histogram("n", 1.0, &[])).1, "metrics.histogram");
}

#[test]
fn user_and_context_are_asked_for() {
    assert_eq!(call(Err(Code::NotFound), user::get).0.unwrap(), None);
    assert_eq!(call(Ok(json!({"id": "u"})), user::get).0.unwrap(), Some(json!({"id": "u"})));
    let ids = json!({"request_id": "r", "tenant_id": "t", "extension_id": "e", "install_id": "i", "content_hash": "h",
                     "version_id": "v", "new": true});
    assert_eq!(call(Ok(ids), context::get).0.unwrap().request_id, "r");
}
