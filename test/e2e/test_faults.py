"""Crashes and failing stores: nothing acknowledged is lost, nothing half-made shows, and everything recovers by itself.

The kills come at random moments. BULKHEAD_FAULT_SEED repeats a run's moments (a failing test prints its seed),
BULKHEAD_FAULT_KILLS says how many there are in all (100).
"""

import os
import random
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest
import requests
from harness.extensions import Extension
from harness.paths import ROOT
from harness.postgres import Postgres
from harness.s3 import ObjectStore
from harness.waiting import wait_until

KILLS = int(os.environ.get("BULKHEAD_FAULT_KILLS", "100"))
ORDER = {"customer": "Ann", "items": [{"sku": "A-1", "quantity": 2}]}
NO_LIMITS = {"BULKHEAD_LIMITS_RATE_LIMITS": "false"}


@pytest.fixture
def chance(request):
    seed = int(os.environ.get("BULKHEAD_FAULT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"BULKHEAD_FAULT_SEED={seed}")
    return random.Random(f"{seed} {request.node.name}")


def problem(answer):
    return answer.status_code, answer.json().get("code")


def number(version):
    return tuple(map(int, version.split(".")))


def gone(pid):
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- kill -9 at random moments ---------------------------------------------------------------------------------------


class Workload:
    """Publishes, installs, writes and calls, all at once, and remembers what the platform has acknowledged."""

    def __init__(self, platform, folder, versions):
        self.platform = platform
        self.organization = platform.organization()
        self.orders = Extension.of_folder(ROOT / "examples" / "orders", folder)
        self.orders_install = platform.install(self.orders, self.organization, "storage.kv", "log.emit")
        self.hello = Extension.of_guest(folder, "hello", version="0.0.0")
        self.hello_install = platform.install(self.hello, self.organization)
        self.bundles = []  # (version, signed bundle), the next one last
        for i in reversed(range(versions)):
            # A version of its own content, so that each one is stored and compiled.
            (self.hello.folder / "ui").mkdir(exist_ok=True)
            (self.hello.folder / "ui" / "index.html").write_text(str(i))
            self.hello.manifest["ui"] = {"type": "iframe", "entry": "ui/index.html"}
            signed = self.hello.with_version(f"1.0.{i}").bundle(platform.signing_key)
            self.bundles.append((f"1.0.{i}", signed.read_bytes()))
        self.published = {"0.0.0"}
        self.installed = "0.0.0"
        self.written = {}  # order id → customer
        self.called = {}  # request id → status, of each call that was answered by way of a runner
        self.surprises = []
        self.stopping = threading.Event()

    def send(self, method, path, **options):
        """The answer, or None when there was none."""
        headers = {"authorization": f"Bearer {self.organization.key}", **options.pop("headers", {})}
        try:
            return requests.request(method, self.platform.url + path, headers=headers, timeout=40, **options)
        except requests.RequestException:
            return None

    def call(self, extension, method, path, **options):
        request_id = str(uuid.uuid4())
        answer = self.send(method, f"/api/ext/{extension.name}{path}", headers={"x-request-id": request_id}, **options)
        if answer is not None and answer.status_code in (200, 201):
            self.called[request_id] = answer.status_code
        elif answer is not None and answer.status_code not in (502, 503, 504):
            self.surprises.append((method, path, answer.status_code, answer.text))
        return answer

    def publish(self):
        if not self.bundles:
            return self.stopping.wait(0.01)
        version, bundle = self.bundles[-1]
        answer = self.send("POST", f"/api/extensions/{self.hello.name}/versions", data=bundle)
        if answer is None or answer.status_code == 503:
            return None  # the same version again, which may be there by now
        if answer.status_code not in (201, 409):
            self.surprises.append(("publish", version, answer.status_code, answer.text))
        self.bundles.pop()
        self.published.add(version)
        return None

    def install(self):
        version = max(self.published, key=number)
        answer = self.send("PATCH", f"/api/installs/{self.hello_install['id']}", json={"version": version})
        if answer is not None and answer.status_code == 200:
            self.installed = version
        elif answer is not None and answer.status_code != 503:
            self.surprises.append(("install", version, answer.status_code, answer.text))

    def write(self):
        customer = uuid.uuid4().hex
        answer = self.call(self.orders, "POST", "/orders", json={**ORDER, "customer": customer})
        if answer is not None and answer.status_code == 201:
            self.written[answer.json()["id"]] = customer

    def read(self):
        self.call(self.hello, "GET", "/")

    def start(self):
        self.stopping.clear()

        def repeat(act):
            while not self.stopping.is_set():
                act()

        acts = (self.publish, self.install, self.write, self.read)
        self.threads = [threading.Thread(target=repeat, args=(act,), daemon=True) for act in acts]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a request is hanging"
        assert not self.surprises

    def listed_versions(self):
        listed, cursor = set(), {}
        while True:
            path = f"/api/extensions/{self.hello.name}/versions"
            page = self.send("GET", path, params={"limit": 200, **cursor}).json()
            listed |= {item["version"] for item in page["items"]}
            if not page.get("next_cursor"):
                return listed
            cursor = {"cursor": page["next_cursor"]}

    def check(self):
        """What the platform has acknowledged is there; what it shows is whole."""
        assert self.listed_versions() >= self.published
        install = self.send("GET", f"/api/installs/{self.hello_install['id']}").json()
        assert number(install["version"]) >= number(self.installed)
        for order, customer in list(self.written.items())[-3:]:
            self.check_order(order, customer)

    def check_order(self, order, customer):
        answer = self.call(self.orders, "GET", f"/orders/{order}")
        assert (answer.status_code, answer.json()["customer"]) == (200, customer)

    def check_all(self):
        self.check()
        assert len(self.published) > 1
        for order, customer in self.written.items():
            self.check_order(order, customer)
        for version in sorted(self.listed_versions()):
            answer = self.send("PATCH", f"/api/installs/{self.hello_install['id']}", json={"version": version})
            assert answer.status_code == 200, answer.text
            answer = self.call(self.hello, "GET", "/")
            assert (answer.status_code, answer.text) == (200, "hello"), version

        def missing():
            rows = [
                row
                for install in (self.orders_install, self.hello_install)
                for row in self.platform.executions(self.organization, install)
            ]
            logged = {row["request_id"]: row["http_status"] for row in rows}
            assert len(logged) == len(rows), "a call has two rows"
            return {id: status for id, status in self.called.items() if logged.get(id) != status}

        wait_until(lambda: not missing(), what="a row of each acknowledged call")


@pytest.mark.parametrize(("stores", "share"), [("sqlite-disk", 0.3), ("postgresql-s3", 0.2)])
def test_killed_server_loses_nothing_acknowledged(own_platform, tmp_path, chance, stores, share):
    platform = own_platform(stores, **NO_LIMITS).start()
    kills = round(KILLS * share)
    work = Workload(platform, tmp_path, versions=kills * 2)
    for _ in range(kills):
        work.start()
        time.sleep(chance.uniform(0, 0.4))
        children = platform.children()
        platform.kill()
        work.stop()
        wait_until(lambda children=children: all(map(gone, children)), what="the end of its children")
        platform.start()
        work.check()
    work.check_all()


def test_killed_runner_loses_nothing_acknowledged(own_platform, tmp_path, chance):
    platform = own_platform(**NO_LIMITS).start()
    work = Workload(platform, tmp_path, versions=20)
    work.start()
    for kill in range(round(KILLS * 0.25)):
        if kill % 5 == 4:  # a new server: its runners' restarts wait longer and longer
            work.stop()
            assert platform.stop() == 0
            platform.start()
            work.start()
        (runner,) = wait_until(lambda: platform.children("runner-process"), what="a runner")
        time.sleep(chance.uniform(0, 0.3))
        os.kill(runner, signal.SIGKILL)
        wait_until(lambda runner=runner: gone(runner), what="the runner's end")
        wait_until(lambda: work.call(work.hello, "GET", "/").status_code == 200, what="a call that works")
    work.stop()
    work.check_all()


def test_killed_compiler_leaves_no_half_version(own_platform, tmp_path, chance):
    platform = own_platform(**NO_LIMITS).start()
    kills = round(KILLS * 0.25)
    work = Workload(platform, tmp_path, versions=kills * 3)
    killed = 0
    for version, bundle in reversed(work.bundles):
        if killed == kills:
            break
        outcome = []
        path = f"/api/extensions/{work.hello.name}/versions"
        publish = threading.Thread(
            target=lambda path=path, bundle=bundle, outcome=outcome: outcome.append(
                work.send("POST", path, data=bundle)
            )
        )
        publish.start()
        compilers = []
        while publish.is_alive() and not (compilers := platform.children("compiler")):
            pass
        time.sleep(chance.uniform(0, 0.01))
        for compiler in compilers:
            try:
                os.kill(compiler, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed += 1
        publish.join(60)
        (answer,) = outcome
        if answer.status_code != 201:
            assert problem(answer) == (503, "unavailable"), answer.text
            assert version not in work.listed_versions()
            assert work.send("POST", path, data=bundle).status_code == 201
        work.published.add(version)
    assert killed == kills
    work.check_all()


# --- in flight -------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(own_platform, tmp_path):
    """A running platform of one's own, with an extension that takes its time: GET and POST /UNITS."""
    platform = own_platform(**NO_LIMITS).start()
    organization = platform.organization()
    extension = Extension.of_guest(tmp_path, "spin")
    install = platform.install(extension, organization)
    platform.patch_install(organization, install, limits={"timeout_ms": 20_000})
    platform.ext(organization, extension, "GET", "/0")
    return platform, organization, extension, install


def test_calls_in_a_killed_runner_get_a_clear_answer(slow):
    platform, organization, extension, install = slow
    (runner,) = platform.children("runner-process")
    with platform.in_background(organization, extension, "POST", "/20000") as running:
        os.kill(runner, signal.SIGKILL)
    assert problem(running.answer) == (503, "runner_unavailable")
    wait_until(lambda: platform.ext(organization, extension, "POST", "/0").status_code == 200, 10, "the next call")
    assert platform.children("runner-process") != [runner]
    row = platform.execution(organization, install, running.answer.headers["x-request-id"])
    assert (row["status"], row["http_status"]) == ("upstream_error", 503)


def test_a_crash_in_flight_leaves_the_outcome_unknown(slow):
    platform, organization, extension, install = slow
    headers = {"idempotency-key": "once", "x-request-id": f"lost-{uuid.uuid4()}"}

    def work():
        with pytest.raises(requests.RequestException):
            platform.ext(organization, extension, "POST", "/20000", headers=headers)

    before = platform.metric("gateway_calls_total")
    thread = threading.Thread(target=work)
    with requests.Session() as watch:
        thread.start()
        wait_until(
            lambda: (
                f"gateway_calls_total {int(before) + 1}"
                in watch.get(
                    platform.url + "/metrics", headers={"authorization": f"Bearer {platform.admin_token}"}
                ).text
            ),
            what="the call's dispatch",
        )
    platform.kill()
    thread.join(60)
    platform.start()
    again = platform.ext(organization, extension, "POST", "/20000", headers=headers)
    assert problem(again) == (409, "outcome_unknown")
    row = platform.execution(organization, install, headers["x-request-id"])
    assert (row["status"], row["error"]["code"]) == ("upstream_error", "outcome_unknown")


def test_sigterm_lets_calls_finish(slow):
    platform, organization, extension, _ = slow
    with platform.in_background(organization, extension, "POST", "/500") as running:
        assert platform.stop() == 0
    assert running.answer.status_code == 200


def test_second_server_on_the_same_data_is_refused(slow):
    platform = slow[0]
    done = platform.run("serve", "--data-dir", platform.data, "--listen", "127.0.0.1:0", check=False)
    assert done.returncode != 0
    assert "Another bulkhead serve uses the data folder" in done.stderr + done.stdout


# --- stores that fail ------------------------------------------------------------------------------------------------


def works(platform, organization, extension, status=200):
    return lambda: platform.ext(organization, extension, "POST", "/").status_code == status


def test_stopped_postgresql(own_platform, tmp_path):
    database = Postgres()
    try:
        platform = own_platform(**NO_LIMITS, BULKHEAD_DATABASE_URL=database.database()).start()
        organization = platform.organization()
        hello = Extension.of_guest(tmp_path, "hello")
        install = platform.install(hello, organization)
        orders = Extension.of_folder(ROOT / "examples" / "orders", tmp_path)
        platform.install(orders, organization, "storage.kv", "log.emit")
        assert platform.ext(organization, orders, "POST", "/orders", json=ORDER).status_code == 201
        assert platform.ext(organization, hello, "GET", "/").status_code == 200
        database.stop()
        refused = platform.call("GET", "/api/installs", token=organization.key)
        assert problem(refused) == (503, "store_unavailable")
        assert refused.elapsed.total_seconds() < 15
        assert platform.call("GET", "/healthz", token="").json()["checks"]["database"]["ok"] is False
        # A guest's write fails as the guest says; nothing hangs.
        assert platform.ext(organization, orders, "POST", "/orders", json=ORDER).status_code == 503
        # What needs no store goes on, and is logged once the store is back.
        request_id = f"meanwhile-{uuid.uuid4()}"
        meanwhile = platform.ext(organization, hello, "GET", "/", headers={"x-request-id": request_id})
        assert meanwhile.status_code in (200, 503), meanwhile.text
        database.start()
        wait_until(
            lambda: platform.call("GET", "/api/installs", token=organization.key).status_code == 200, 15, "recovery"
        )
        created = wait_until(
            lambda: (
                (answer := platform.ext(organization, orders, "POST", "/orders", json=ORDER)).status_code == 201
                and answer
            ),
            15,
            "a write",
        )
        assert created.json()["id"] >= 2
        if meanwhile.status_code == 200:
            platform.execution(organization, install, request_id)
        assert platform.call("GET", "/healthz", token="").status_code == 200
    finally:
        database.close()


def test_stopped_object_store(own_platform, tmp_path):
    store = ObjectStore()
    try:
        platform = own_platform(**NO_LIMITS, **store.settings(store.bucket())).start()
        organization = platform.organization()
        hello, cold = Extension.of_guest(tmp_path, "hello"), Extension.of_guest(tmp_path, "hello")
        platform.install(hello, organization)
        platform.install(cold, organization)
        assert platform.ext(organization, hello, "GET", "/").text == "hello"
        path = f"/api/extensions/{hello.name}/versions"
        bundle = hello.with_version("1.1.0").bundle(platform.signing_key).read_bytes()
        store.stop()
        # What is loaded goes on; what is not says why not.
        unloaded = platform.ext(organization, cold, "GET", "/")
        assert problem(unloaded) == (502, "bundle_fetch_failed")
        assert unloaded.elapsed.total_seconds() < 15
        refused = platform.call("POST", path, token=organization.key, data=bundle)
        assert problem(refused) == (503, "blob_unavailable")
        assert platform.ext(organization, hello, "GET", "/").text == "hello"
        store.start()
        published = wait_until(
            lambda: (
                (answer := platform.call("POST", path, token=organization.key, data=bundle)).status_code == 201
                and answer
            ),
            15,
            "a publish",
        )
        assert published.json()["version"]["version"] == "1.1.0"
        wait_until(lambda: platform.ext(organization, cold, "GET", "/").text == "hello", 15, "the call that failed")
    finally:
        store.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Takes all that is left, and gives the file that did."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                continue
    return filler


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_full_disk(own_platform, small_disk, tmp_path):
    platform = own_platform(**NO_LIMITS)
    platform.data = small_disk / "data"
    platform.start()
    organization = platform.organization()
    hello = Extension.of_guest(tmp_path, "hello")
    install = platform.install(hello, organization)
    orders = Extension.of_folder(ROOT / "examples" / "orders", tmp_path)
    platform.install(orders, organization, "storage.kv", "log.emit")
    bundle = hello.with_version("1.1.0").bundle(platform.signing_key).read_bytes()
    path = f"/api/extensions/{hello.name}/versions"
    process = platform.process.pid

    filler = fill(small_disk)
    refused = platform.call("POST", path, token=organization.key, data=bundle)
    assert problem(refused) == (503, "storage_full")
    keys = f"/api/v1/orgs/{organization.slug}/api-keys"

    def new_key():
        return platform.call("POST", keys, json={"name": "k", "role": "viewer"})

    # SQLite goes on inside the space that its log file has already.
    full = wait_until(lambda: (answer := new_key()).status_code == 503 and (answer,), what="a refused write")[0]
    assert problem(full) == (503, "storage_full")
    assert platform.ext(organization, orders, "POST", "/orders", json=ORDER).status_code == 503
    reading = platform.ext(organization, hello, "GET", "/", headers={"x-request-id": "full-disk"})
    assert reading.status_code in (200, 503), reading.text
    assert platform.call("GET", "/api/installs", token=organization.key).status_code == 200

    filler.unlink()
    wait_until(lambda: new_key().status_code == 201, 15, "a write after the disk has room")
    assert platform.call("POST", path, token=organization.key, data=bundle).status_code == 201
    wait_until(
        lambda: platform.ext(organization, orders, "POST", "/orders", json=ORDER).status_code == 201, 15, "an order"
    )
    assert platform.ext(organization, hello, "GET", "/").text == "hello"
    if reading.status_code == 200:
        platform.execution(organization, install, "full-disk")
    assert platform.process.pid == process
    assert platform.process.poll() is None
