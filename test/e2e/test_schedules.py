"""Schedules: from the manifest and from guests, fired once, by hand and by time."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from harness.waiting import wait_until

GRANTS = ("schedules", "log.emit")
FAR = "0 3 1 1 *"  # not while a test runs, but for one night of the year


def scheduled(guest, *schedules, **manifest):
    return guest("events", capabilities=list(GRANTS), schedules=list(schedules), **manifest)


def nightly(**change):
    return {"id": "nightly", "cron": FAR, "handler": "tidy", **change}


def schedules(platform, organization, install):
    answer = platform.call("GET", f"/api/installs/{install['id']}/schedules", token=organization.key)
    assert answer.status_code == 200, answer.text
    return {item["id"]: item for item in answer.json()["items"]}


def host_call(platform, organization, extension, name, **request):
    answer = platform.ext(organization, extension, "POST", f"/{name}", data=json.dumps(request))
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text) if answer.text.startswith("{") else answer.text


def fired(platform, organization, install):
    """What the handler was sent, newest first."""
    rows = [row for row in platform.executions(organization, install) if row["kind"] == "schedule"]
    return [
        {**json.loads(line["text"]), "request_id": row["request_id"]}
        for row in rows
        for line in row["logs"]
        if line["text"].startswith("{")
    ]


def set_next_at(platform, install, when):
    """Moves a schedule's next firing, as time would; on SQLite and PostgreSQL."""
    micros = int(when.timestamp() * 1e6)
    statement = f"UPDATE extension_schedule SET next_at = {micros} WHERE install_id = '{install['id']}'"
    url = platform.settings.get("BULKHEAD_DATABASE_URL")
    if url is None:
        subprocess.run(
            [
                "python3",
                "-c",
                "import sqlite3,sys; d=sqlite3.connect(sys.argv[1],timeout=30); d.execute(sys.argv[2]);d.commit()",
                f"{platform.data}/bulkhead.db",
                statement,
            ],
            check=True,
        )
    else:
        subprocess.run(["psql", "-qX", url, "-c", statement], check=True)


def test_runs_by_hand(any_platform, guest):
    organization = any_platform.organization()
    extension = scheduled(guest, nightly(timezone="Europe/Berlin"))
    install = any_platform.install(extension, organization, *GRANTS)
    schedule = schedules(any_platform, organization, install)["nightly"]
    assert (schedule["origin"], schedule["enabled"], schedule["timezone"]) == ("manifest", True, "Europe/Berlin")
    assert schedule["next_at"].endswith("01-01T02:00:00.000000Z")
    assert schedule["firings"] == []

    firing = any_platform.json("ext", "schedules", "run", extension.name, "nightly", token=organization.key)
    assert (firing["state"], firing["kind"]) == ("ok", "manual")
    shown = any_platform.run("ext", "schedules", "list", extension.name, token=organization.key).stdout
    assert "nightly" in shown
    assert "Europe/Berlin" in shown
    row = any_platform.execution(organization, install, firing["id"])
    assert (row["kind"], row["execution_id"]) == ("schedule", firing["execution_id"])
    (sent,) = fired(any_platform, organization, install)
    assert (sent["id"], sent["handler"]) == ("nightly", "tidy")
    (shown,) = schedules(any_platform, organization, install)["nightly"]["firings"]
    assert shown["id"] == firing["id"]


def test_fires_once_when_due_and_makes_up_for_the_last_time_missed(any_platform, guest):
    organization = any_platform.organization()
    extension = scheduled(guest, nightly(cron="* * * * *"))
    install = any_platform.install(extension, organization, *GRANTS)
    now = datetime.now(UTC)
    set_next_at(any_platform, install, now.replace(second=0, microsecond=0) - timedelta(hours=5))
    (sent, *more) = wait_until(lambda: fired(any_platform, organization, install), what="the firing")
    assert not more, "five hours of missed minutes are one firing"
    at = datetime.fromisoformat(sent["scheduled_at"].replace("Z", "+00:00"))
    assert abs((at - now).total_seconds()) < 120
    next_at = schedules(any_platform, organization, install)["nightly"]["next_at"]
    assert datetime.fromisoformat(next_at.replace("Z", "+00:00")) > now


def test_guests_register_and_cancel(platform, organization, guest):
    extension = scheduled(guest, nightly())
    install = platform.install(extension, organization, *GRANTS)

    def register(**request):
        return host_call(platform, organization, extension, "register", **request)

    made = register(id="weekly", cron="30 6 * * mon", timezone="America/New_York", payload={"n": [1, 2]})
    assert made["id"] == "weekly"
    assert schedules(platform, organization, install)["weekly"]["next_at"] == made["next_at"]
    assert register(id="weekly", cron="30 6 * * mon", timezone="America/New_York", payload=3) == made
    platform.run("ext", "schedules", "run", extension.name, "weekly", token=organization.key)
    sent = wait_until(lambda: fired(platform, organization, install), what="the firing")[0]
    assert (sent["id"], sent["handler"], sent["payload"]) == ("weekly", "weekly", 3)

    assert register(id="nightly", cron=FAR) == "code -4"
    assert register(id="x", cron="* * * *") == "code -2"
    assert register(id="x", cron="0 0 30 2 *") == "code -2"
    assert register(id="x", cron=FAR, timezone="Mars/Olympus") == "code -2"
    assert register(id="../x", cron=FAR) == "code -2"
    assert register(id="x", cron=FAR, payload="x" * 20_000) == "code -5"
    for number in range(62):
        assert register(id=f"more-{number}", cron=FAR)["id"] == f"more-{number}"
    assert register(id="one-too-many", cron=FAR) == "code -8"

    assert host_call(platform, organization, extension, "cancel", id="weekly") == ""  # {} is an answer without a body
    assert host_call(platform, organization, extension, "cancel", id="weekly") == "code -3"
    assert host_call(platform, organization, extension, "cancel", id="nightly") == "code -3"
    assert "weekly" not in schedules(platform, organization, install)


def test_disabled_and_uninstalled_ones_do_not_fire(platform, organization, guest):
    extension = scheduled(guest, nightly())
    install = platform.install(extension, organization, *GRANTS)
    path = f"/api/installs/{install['id']}/schedules/nightly"

    def change(status=200, **body):
        answer = platform.call("PATCH", path, token=organization.key, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    assert change(enabled=False)["next_at"] is None
    set_next_at(platform, install, datetime.now(UTC) - timedelta(seconds=5))
    assert change(422, missed="sometimes")["code"] == "unprocessable"
    assert change(enabled=True, missed="skip")["missed"] == "skip"
    platform.run("ext", "disable", extension.name, token=organization.key)
    assert schedules(platform, organization, install)["nightly"]["next_at"] is None
    set_next_at(platform, install, datetime.now(UTC) - timedelta(seconds=5))
    run = platform.call("POST", f"{path}/run", token=organization.key)
    assert run.status_code == 404, run.text
    platform.run("ext", "enable", extension.name, token=organization.key)
    assert schedules(platform, organization, install)["nightly"]["next_at"].endswith("-01-01T03:00:00.000000Z")
    assert fired(platform, organization, install) == []
    platform.run("ext", "uninstall", extension.name, token=organization.key)
    assert platform.count("extension_schedule", install_id=install["id"]) == 0


def test_a_manifest_with_an_impossible_schedule_is_not_installed(platform, organization, guest):
    extension = scheduled(guest, nightly(cron="0 0 31 2 *"))
    bundle = extension.bundle(platform.trust_signing_key())
    platform.publish(bundle, organization)
    refused = platform.run(
        "ext", "install", f"{extension.name}@1.0.0", "--org", organization.slug, token=organization.key, check=False
    )
    assert refused.returncode == 3
    assert "never comes" in refused.stderr


def test_two_nodes_on_one_database_fire_once(own_platform, store_settings, guest):
    first = own_platform("postgresql-s3", BULKHEAD_LIMITS_RATE_LIMITS="false").start()
    second = own_platform(**first.settings)
    second.admin_token = first.admin_token
    second.start()
    organization = first.organization()
    extension = scheduled(guest, nightly())
    install = first.install(extension, organization, *GRANTS)
    for expected in range(1, 6):
        set_next_at(first, install, datetime.now(UTC) - timedelta(seconds=1))

        def recorded(expected=expected):
            return first.count("extension_schedule_firing", install_id=install["id"], state="ok") >= expected

        wait_until(recorded, seconds=30, what=f"firing {expected}")

    assert first.count("extension_schedule_firing", install_id=install["id"]) == 5
    assert len({sent["request_id"] for sent in fired(first, organization, install)}) == 5


@pytest.mark.parametrize("missed", ["skip", "run_once"])
def test_missed_times_follow_the_policy(platform, organization, guest, missed):
    extension = scheduled(guest, nightly())
    install = platform.install(extension, organization, *GRANTS)
    path = f"/api/installs/{install['id']}/schedules/nightly"
    assert platform.call("PATCH", path, token=organization.key, json={"missed": missed}).status_code == 200
    old = datetime.now(UTC) - timedelta(days=1)
    set_next_at(platform, install, old)

    def moved_on():
        return schedules(platform, organization, install)["nightly"]["next_at"] > old.isoformat().replace("+00:00", "Z")

    wait_until(moved_on, what="the next time")
    rows = platform.count("extension_schedule_firing", install_id=install["id"])
    assert rows == (0 if missed == "skip" else 1)
