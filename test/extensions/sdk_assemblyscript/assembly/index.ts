// Checks the AssemblyScript library inside a guest and answers with the names of the checks that failed.
import {
  Code,
  Json,
  Kind,
  Request,
  Response,
  context,
  decodeBase64,
  encodeBase64,
  events,
  http,
  log,
  metrics,
  schedules,
  secrets,
  serve,
  storage,
} from "@bulkhead/assemblyscript";
export { alloc } from "@bulkhead/assemblyscript";

const failed = Json.array();

function check(name: string, holds: bool): void {
  if (!holds) failed.push(Json.string(name));
}

function checkGrammar(): void {
  const valid = ["{}", "[]", ' [1, 2 ,{"a":null}] ', "-0.5e+10", '"\\u00e9\\n"', "true", "0", '{"a":{"b":[[]]}}'];
  const invalid = [
    "", "{", "[1,]", '{"a":}', "{,}", "01", "1.", "-", '"a', '"\\x"', '{"a" 1}', "1e", "tru", "nulll", "[] []",
    '"\t"', '"\\u12"', "+1",
  ];
  for (let i = 0; i < valid.length; ++i) check("valid " + valid[i], Json.parse(valid[i]) !== null);
  for (let i = 0; i < invalid.length; ++i) check("invalid " + invalid[i], Json.parse(invalid[i]) === null);
  check("64 levels", Json.parse("[".repeat(64) + "]".repeat(64)) !== null);
  check("65 levels", Json.parse("[".repeat(65) + "]".repeat(65)) === null);
}

function checkReading(): void {
  const document = Json.parse(
    '{"a\\u0062":[1,{"x":"\\ud83d\\ude00!"}],"least":-999999999999999999,"more":9223372036854775808,"part":1.5,"yes":true}',
  );
  if (document === null) return check("document", false);
  check("least", document.get("least").asInteger(0) == -999999999999999999);
  check("more", document.get("more").asInteger(-1) == -1);
  check("part", document.get("part").asNumber(0) == 1.5 && document.get("part").asInteger(-1) == -1);
  check("yes", document.get("yes").asBoolean(false));
  check("absent", document.get("none").get("at all").at(3).isNull);
  check("surrogates", document.get("ab").at(1).get("x").asString("") == "😀!");
  check("length", document.get("ab").length == 2 && document.length == 5 && document.nameAt(0) == "ab");
  check("fallback", document.get("yes").asString("no text") == "no text");
}

function checkWriting(): void {
  const json = Json.array()
    .push(Json.string('q"\\\n\u0001é'))
    .push(Json.integer(i64.MIN_VALUE))
    .push(Json.object().set("a", Json.boolean(true)).set("a", Json.null()))
    .push(Json.number(1.5))
    .push(Json.number(NaN));
  check("writing", json.toString() == '["q\\"\\\\\\u000a\\u0001é",-9223372036854775808,{"a":null},1.5,null]');
}

function checkBase64(): void {
  const plain = ["", "f", "fo", "foo", "é\0"];
  const coded = ["", "Zg==", "Zm8=", "Zm9v", "w6kA"];
  for (let i = 0; i < plain.length; ++i) {
    check("encode " + coded[i], encodeBase64(String.UTF8.encode(plain[i])) == coded[i]);
    const bytes = decodeBase64(coded[i]);
    check("decode " + coded[i], bytes !== null && String.UTF8.decode(bytes) == plain[i]);
  }
  check("a===", decodeBase64("a===") === null);
  check("ab=c", decodeBase64("ab=c") === null);
  check("Zm9", decodeBase64("Zm9") === null);
}

function checkRequest(request: Request): void {
  check("method", request.method == "POST");
  check("path", request.path == '/check/a é"');
  check("handler", request.handler == "check");
  check("param", request.param("id") == 'a é"');
  check("query", request.query("q") == "1 2" && request.query("r", "none") == "none");
  check("body", request.text() == "body \u0001é");
  check("no JSON", request.json() === null);
  const got = context.get();
  check("context", got.ok && got.value.get("request_id").asString("-") == request.context.get("request_id").asString(""));
}

function checkStorage(): void {
  const space = "checks";
  const value = Json.object().set("n", Json.array().push(Json.integer(1)).push(Json.string("é")));
  check("get nothing", storage.get("a", space).code == Code.NotFound);
  const written = storage.set("a", value, storage.ABSENT, 0, space);
  check("set", written.ok);
  check("conflict", storage.set("a", value, storage.ABSENT, 0, space).code == Code.Conflict);
  const stored = storage.get("a", space);
  check("get", stored.ok && stored.version == written.version && stored.value.toString() == value.toString());
  check("other space", storage.get("a").code == Code.NotFound);
  const items = Json.array()
    .push(Json.object().set("key", Json.string("b")).set("value", Json.integer(1)))
    .push(Json.object().set("key", Json.string("c")).set("value", Json.integer(2)));
  check("bulk", storage.bulkPut(items, space).ok);
  const first = storage.list("", "", 2, space);
  check("page", first.ok && first.value.get("items").length == 2);
  const rest = storage.list("", first.value.get("cursor").asString("?"), 2, space);
  check("rest", rest.ok && rest.value.get("items").at(0).get("key").asString("") == "c" && !rest.value.has("cursor"));
  check("remove", storage.remove("a", storage.ANY, space) == Code.Ok);
  check("remove again", storage.remove("a", storage.ANY, space) == Code.Ok);
  check("removed", storage.get("a", space).code == Code.NotFound);
  check("kind", value.kind == Kind.Object);
}

// The install of these checks is not granted any of it: each call is refused, with words, and nothing traps.
function checkDenials(): void {
  const key = secrets.handle("key");
  check("secrets", key.code == Code.Denied && secrets.get("key").code == Code.Denied);
  const answer = http.post("https://example.com").secretHeader("authorization", "Bearer ", key).json(Json.object()).timeout(100).send();
  check("http", !answer.ok && answer.code == Code.Denied && answer.status == 0 && answer.message.includes("http.fetch"));
  check("events", events.emit("a.b", Json.null()).code == Code.Denied);
  check("register", schedules.register("a", "0 3 * * *").code == Code.Denied);
  check("cancel", schedules.cancel("a") == Code.Denied);
  const labels = Json.object().set("kind", Json.string("a"));
  check("counter", metrics.counter("a", 1, labels) == Code.Denied);
  check("gauge", metrics.gauge("a", 1) == Code.Denied && metrics.histogram("a", 1) == Code.Denied);
}

function handle(request: Request): Response {
  checkDenials();
  checkGrammar();
  checkReading();
  checkWriting();
  checkBase64();
  checkRequest(request);
  checkStorage();
  log.info("checked é");
  return Response.json(200, Json.object().set("failed", failed));
}

export function handler(request: usize, size: usize, out: usize): i32 {
  return serve(request, size, out, handle);
}
