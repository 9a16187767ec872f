"""Events between extensions: emitted by one, handled by others, at least once whatever happens in between."""

import json
import threading

import pytest
from harness.waiting import wait_until

# Failed deliveries are tried again soon, so that a test sees the end of it.
FAST_RETRIES = {"BULKHEAD_LIMITS_RATE_LIMITS": "false", "BULKHEAD_EVENTS_RETRY_DELAYS_MS": "50,50"}
GRANTS = ("events.emit", "log.emit")


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    from harness.platform import Platform  # the fixture of conftest.py with other settings

    running = Platform(tmp_path_factory.mktemp("events"), FAST_RETRIES).start()
    yield running
    running.close()


@pytest.fixture
def organization(platform):
    return platform.organization()


def listener(guest, *topics, filters=(), **manifest):
    """An extension that subscribes to topics, with filters in the same order where there are any."""
    events = [{"topic": topic, "handler": f"on_{topic.replace('.', '_')}"} for topic in topics]
    for event, wanted in zip(events, filters, strict=False):
        event["filter"] = wanted
    return guest("events", capabilities=list(GRANTS), events=events, **manifest)


def emit(platform, organization, extension, topic, payload, **more):
    """What the host call answered, as text."""
    answer = platform.ext(
        organization, extension, "POST", "/emit", data=json.dumps({"topic": topic, "payload": payload, **more})
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def handled(platform, organization, install):
    """The events that reached an install's handler, as it saw them, oldest first."""
    rows = [row for row in platform.executions(organization, install) if row["kind"] == "event"]
    seen = []
    for row in sorted(rows, key=lambda row: row["started_at"]):
        lines = [line["text"] for line in row["logs"] if line["text"].startswith("{")]
        seen += [{**json.loads(line), "request_id": row["request_id"], "status": row["status"]} for line in lines]
    return seen


def wait_handled(platform, organization, install, count):
    def enough():
        found = handled(platform, organization, install)
        return found if len(found) >= count else None

    return wait_until(enough, seconds=40, what=f"{count} events handled")


def test_reaches_the_handlers_of_other_installs(any_platform, guest):
    organization = any_platform.organization()
    source = guest("events", capabilities=list(GRANTS))
    any_platform.install(source, organization, *GRANTS)
    one = any_platform.install(listener(guest, "order.created"), organization, *GRANTS)
    two = any_platform.install(listener(guest, "order.created", "order.paid"), organization, *GRANTS)
    other = any_platform.organization()
    foreign = any_platform.install(listener(guest, "order.created"), other, *GRANTS)

    answered = json.loads(emit(any_platform, organization, source, "order.created", {"total": 7}))
    emit(any_platform, organization, source, "order.paid", {"total": 7})

    (first,) = wait_handled(any_platform, organization, one, 1)
    assert first["topic"] == "order.created"
    assert first["id"] == answered["id"]
    assert first["payload"] == {"total": 7}
    assert first["handler"] == "on_order_created"
    assert first["source"] == source.name
    assert {event["topic"] for event in wait_handled(any_platform, organization, two, 2)} == {
        "order.created",
        "order.paid",
    }
    assert handled(any_platform, other, foreign) == []
    assert len(handled(any_platform, organization, one)) == 1


def test_filters_choose_and_can_be_changed(platform, organization, guest):
    extension = listener(guest, "order.created", filters=[{"total": {"gt": 100}}])
    install = platform.install(extension, organization, *GRANTS)
    for total in (1, 101):
        emit(platform, organization, extension, "order.created", {"total": total})
    assert [event["payload"]["total"] for event in wait_handled(platform, organization, install, 1)] == [101]

    path = f"/api/installs/{install['id']}/subscriptions"
    (subscription,) = platform.call("GET", path, token=organization.key).json()["items"]
    assert (subscription["filter"], subscription["enabled"]) == ({"total": {"gt": 100}}, True)

    def change(status=200, **change):
        body = {"subscriptions": [{"id": subscription["id"], **change}]}
        answer = platform.call("PATCH", path, token=organization.key, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    refused = change(422, filter={"total": {"like": 1}})
    assert refused["errors"][0]["pointer"] == "/filter/total/like"
    assert change(filter={"total": 1})["items"][0]["filter"] == {"total": 1}
    for total in (1, 101):
        emit(platform, organization, extension, "order.created", {"total": total})
    assert [event["payload"]["total"] for event in wait_handled(platform, organization, install, 2)] == [101, 1]

    change(enabled=False)
    emit(platform, organization, extension, "order.created", {"total": 1})
    assert change(enabled=True, filter=None)["items"][0]["filter"] == {"total": {"gt": 100}}
    emit(platform, organization, extension, "order.created", {"total": 102})
    assert [event["payload"]["total"] for event in wait_handled(platform, organization, install, 3)] == [101, 1, 102]


def test_a_failing_handler_is_tried_again_then_a_dead_letter_then_redriven(platform, organization, guest):
    extension = listener(guest, "order.created")
    install = platform.install(extension, organization, *GRANTS)
    emit(platform, organization, extension, "order.created", {"fail": True}, id="order-1")

    path = f"/api/installs/{install['id']}/dead-letters"

    def letters():
        return platform.call("GET", path, token=organization.key).json()["items"]

    (letter,) = wait_until(letters, what="the dead letter")
    assert letter["event_id"] == "order-1"
    assert letter["attempts"] == 3
    assert letter["error"]["code"] == "handler_status"
    attempts = wait_handled(platform, organization, install, 3)
    assert [event.get("attempt", 1) for event in attempts] == [1, 2, 3]
    assert {event["request_id"] for event in attempts} == {letter["id"]}, "every attempt has the delivery's id"

    shown = platform.run("ext", "dead-letters", "list", extension.name, token=organization.key).stdout
    assert "order.created" in shown
    assert letter["id"] in shown
    done = platform.json("ext", "dead-letters", "redrive", extension.name, "--all", token=organization.key)
    assert done == {"redriven": 1}
    assert len(wait_handled(platform, organization, install, 6)) == 6
    (again,) = wait_until(letters, what="the dead letter, back")
    assert again["id"] == letter["id"]


def test_an_id_is_taken_once(platform, organization, guest):
    extension = listener(guest, "order.created", "order.paid")
    install = platform.install(extension, organization, *GRANTS)
    for _ in range(3):
        assert json.loads(emit(platform, organization, extension, "order.created", {}, id="a")) == {"id": "a"}
    emit(platform, organization, extension, "order.paid", {}, id="a")
    emit(platform, organization, extension, "order.created", {"last": True}, id="b")
    seen = wait_handled(platform, organization, install, 3)
    assert sorted((event["topic"], event["id"]) for event in seen) == [
        ("order.created", "a"),
        ("order.created", "b"),
        ("order.paid", "a"),
    ]


def test_refuses_what_may_not_be_emitted(platform, organization, guest):
    extension = listener(guest, "order.created")
    platform.install(extension, organization, *GRANTS)
    for topic, payload, more, code in (
        ("install.changed", {}, {}, -1),
        ("Order.Created", {}, {}, -2),
        ("order..created", {}, {}, -2),
        ("order.created", {}, {"id": ""}, -2),
        ("order.created", {}, {"id": "x" * 129}, -2),
        ("order.created", {}, {"other": 1}, -2),
        ("order.created", "x" * (256 * 1024), {}, -5),
    ):
        assert emit(platform, organization, extension, topic, payload, **more) == f"code {code}"
    without = guest("events", capabilities=list(GRANTS))
    platform.install(without, organization, "log.emit")
    assert emit(platform, organization, without, "order.created", {}) == "code -1"


def test_a_chain_of_events_ends_after_sixteen(platform, organization, guest):
    extension = listener(guest, "chain.link")
    install = platform.install(extension, organization, *GRANTS)
    emit(platform, organization, extension, "chain.link", {"chain": True})
    wait_handled(platform, organization, install, 16)

    def refused():
        rows = platform.executions(organization, install)
        return any(line["text"] == "chain refused" for row in rows for line in row["logs"])

    wait_until(refused, what="the refusal")
    assert len(handled(platform, organization, install)) == 16


def test_the_platform_tells_of_installs(platform, organization, guest):
    watcher = platform.install(listener(guest, "install.changed"), organization, *GRANTS)
    hello = guest("hello")
    platform.install(hello, organization)
    seen = wait_handled(platform, organization, watcher, 1)
    assert seen[-1]["payload"]["extension"] == hello.name
    assert "source" not in seen[-1]


def test_nothing_is_delivered_while_disabled_and_nothing_after_uninstalling(platform, organization, guest):
    source = guest("events", capabilities=list(GRANTS))
    platform.install(source, organization, *GRANTS)
    extension = listener(guest, "order.created")
    install = platform.install(extension, organization, *GRANTS)
    emit(platform, organization, source, "order.created", {"n": 1})
    wait_handled(platform, organization, install, 1)
    platform.run("ext", "disable", extension.name, token=organization.key)
    emit(platform, organization, source, "order.created", {"n": 2})
    platform.run("ext", "enable", extension.name, token=organization.key)
    emit(platform, organization, source, "order.created", {"n": 3})
    assert [event["payload"]["n"] for event in wait_handled(platform, organization, install, 2)] == [1, 3]
    platform.run("ext", "uninstall", extension.name, token=organization.key)
    assert platform.count("extension_event_subscription", install_id=install["id"]) == 0
    assert platform.count("extension_event_delivery", install_id=install["id"]) == 0


def test_kill_minus_nine_loses_nothing(own_platform, guest):
    platform = own_platform(**FAST_RETRIES).start()
    organization = platform.organization()
    extension = listener(guest, "order.created")
    install = platform.install(extension, organization, *GRANTS)
    answered = []

    def emit_many():
        for number in range(400):
            try:
                answer = emit(platform, organization, extension, "order.created", {"n": number}, id=f"n{number}")
            except Exception:  # the server is gone
                return
            answered.append(json.loads(answer)["id"])

    thread = threading.Thread(target=emit_many, daemon=True)
    thread.start()
    wait_until(lambda: len(answered) > 60, what="events emitted")
    platform.kill()
    thread.join(30)
    platform.start()

    def all_handled():
        return set(answered) <= {event["id"] for event in handled(platform, organization, install)}

    wait_until(all_handled, seconds=60, what=f"{len(answered)} events handled")
    wait_until(lambda: platform.count("extension_event_delivery") == 0, what="nothing left")
    by_event = {}
    for event in handled(platform, organization, install):
        by_event.setdefault(event["id"], set()).add(event["request_id"])
    assert all(len(names) == 1 for names in by_event.values()), "a repetition has the same request id"
