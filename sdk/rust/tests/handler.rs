//! Requests as the host writes them, answers as it reads them.

use bulkhead_extension::*;

const IDS: &str =
    r#""request_id":"r","tenant_id":"t","extension_id":"e","install_id":"i","content_hash":"h","version_id":"v""#;

fn parse(rest: &str) -> Request {
    Request::parse(format!("{{\"context\":{{{IDS},\"config\":{{\"greeting\":\"Hi\"}}}},{rest}}}").as_bytes()).unwrap()
}

#[test]
fn an_http_call_is_read_whole() {
    let request = parse(
        r#""http":{"method":"POST","path":"/a","handler":"h","params":{"id":"7"},"query":{"q":"2"},
           "query_all":{"q":["1","2"]},"headers":{"accept":"*/*"},"body_b64":"eyJuIjoxfQ==","new":1}"#,
    );
    assert_eq!((request.handler(), request.param("id"), request.query("q")), ("h", Some("7"), Some("2")));
    assert_eq!((request.header("accept"), request.header("x")), (Some("*/*"), None));
    assert_eq!(request.http().unwrap().query_all["q"], ["1", "2"]);
    assert_eq!(request.json::<Value>().unwrap(), json!({"n": 1}));
    #[derive(serde::Deserialize)]
    struct Config {
        greeting: String,
    }
    assert_eq!(request.config::<Config>().unwrap().greeting, "Hi");
}

#[test]
fn events_and_schedules_are_reasons_too() {
    let request = parse(r#""event":{"topic":"a.b","id":"1","handler":"on","payload":{"x":1}}"#);
    assert!(
        matches!(&request.reason, Reason::Event(event) if event.payload["x"] == 1 && event.topic == "a.b" && event.attempt == 1)
    );
    let request = parse(r#""event":{"topic":"a.b","id":"1","payload":null,"attempt":2,"source":"com.example.a"}"#);
    assert!(matches!(&request.reason, Reason::Event(event) if event.attempt == 2 && event.source == "com.example.a"));
    let request = parse(r#""event":{"topic":"a.b","id":"1","handler":"on","payload":{}}"#);
    assert_eq!((request.handler(), request.body(), request.param("x")), ("on", &b""[..], None));
    let request = parse(r#""schedule":{"id":"nightly"}"#);
    assert!(matches!(&request.reason, Reason::Schedule(firing) if firing.id == "nightly" && firing.payload.is_null()));
}

#[test]
fn what_the_contract_does_not_allow_is_refused() {
    for text in ["", "{}", "[]", r#"{"context":{},"http":{}}"#, "\u{ff}"] {
        assert!(Request::parse(text.as_bytes()).is_err(), "{text}");
    }
    let no_base64 =
        format!("{{\"context\":{{{IDS}}},\"http\":{{\"method\":\"GET\",\"path\":\"/\",\"body_b64\":\"!\"}}}}");
    assert!(Request::parse(no_base64.as_bytes()).is_err());
}

#[test]
fn an_answer_is_what_the_abi_says() {
    let document = |response: Response| serde_json::from_slice::<Value>(&response.into_bytes()).unwrap();
    assert_eq!(document(Response::empty(204)), json!({"status": 204}));
    let expected = json!({"status": 200, "headers": {"content-type": "text/plain; charset=utf-8"}, "body_b64": "aGk="});
    assert_eq!(document(Response::text(200, "hi")), expected);
}

#[test]
fn errors_become_problems_and_a_line_in_the_log() {
    let status = |error: Error| {
        let (response, log) = testing::with_host(|_, _| Err(Code::Denied), || Err::<Response, _>(error).into_answer());
        (response.status, log.len())
    };
    let host = |code| Error::Host { call: "storage.get", code, message: String::from("in words") };
    assert_eq!(status(Error::problem(404, "order_not_found", "No.")), (404, 0));
    assert_eq!(status(host(Code::Denied)), (502, 1));
    assert_eq!(status(host(Code::Internal)), (503, 1));
    assert_eq!(status(host(Code::Timeout)), (504, 1));
    let request = testing::http("POST", "/").json(&json!("text")).build();
    assert_eq!(status(request.json::<u8>().unwrap_err()), (400, 1));
    assert_eq!(host(Code::Quota).to_string(), "storage.get: Quota: in words");
}

#[test]
fn every_code_is_the_number_it_stands_for() {
    for number in -10..0 {
        assert_eq!(i32::from(Code::from(number)), number);
    }
}
