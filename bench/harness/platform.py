"""The platform under test: `bulkhead serve` with its runner, and what is published in it."""

import http.client
import json
import os
import secrets
import subprocess
import tempfile
import time
from pathlib import Path

from harness.paths import BULKHEAD, GUESTS, ROOT
from harness.servers import SERVER_CORE, Server, free_port

ONE_CORE = {"server.cores": 1}
NO_RATES = {"limits.rate_limits": "false"}
READY_WITHIN = 30


def clean_environment():
    """Settings of whoever runs the benchmark must not become settings of the platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BULKHEAD_", "PLATFORM_"))}


class Platform:
    """`with Platform(settings) as platform:` runs it in a temporary folder; `restart()` keeps the data.

    `config` is the text of a configuration file: plans are in no other place."""

    def __init__(self, settings=None, core=SERVER_CORE, config=""):
        self.folder = tempfile.TemporaryDirectory(prefix="bulkhead-bench-")
        self.path = Path(self.folder.name)
        self.data = self.path / "data"
        self.log = self.path / "serve.log"
        self.settings = dict(settings or {})
        self.config = self.path / "bulkhead.toml"
        self.config.write_text(config, encoding="utf-8")
        self.core = core  # None: all of them
        self.admin_token = secrets.token_urlsafe(32)
        self.signing_key = self.path / "signing.key"
        self.port = free_port()
        self.server = None

    def __enter__(self):
        self.start()
        self.cli("ext", "keygen", "-o", self.signing_key)
        self.cli("trust", "add", f"{self.signing_key}.pub")
        self.organization = self.json("org", "create", "bench")["id"]
        self.key = self.new_key("bench")
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    # --- the process -------------------------------------------------------------------------------------------------

    def start(self):
        """Gives the seconds until it was ready."""
        command = [BULKHEAD, "serve", "--config", self.config, "--data-dir", self.data]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        for name, value in self.settings.items():
            command += ["--set", f"{name}={value}"]
        begun = time.monotonic()
        with self.log.open("wb") as log:
            environment = {**clean_environment(), "PLATFORM_API_ADMIN_TOKEN": self.admin_token}
            self.server = Server(command, log, environment, self.core)
        while b'"event":"ready"' not in self.log.read_bytes():
            if self.server.process.poll() is not None or time.monotonic() - begun > READY_WITHIN:
                raise RuntimeError(f"the platform did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.002)
        return time.monotonic() - begun

    def stop(self):
        if self.server:
            self.server.__exit__()
            self.server = None

    def restart(self):
        self.stop()
        return self.start()

    # --- its interfaces ----------------------------------------------------------------------------------------------

    def cli(self, *arguments, token=None):
        environment = {
            **clean_environment(),
            "BULKHEAD_SERVER": f"http://127.0.0.1:{self.port}",
            "BULKHEAD_TOKEN": token or self.admin_token,
            "HOME": str(self.path),
        }
        command = [BULKHEAD, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"bulkhead {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.cli(*arguments, "--json", **options))

    def tenant(self, slug):
        """Makes one more organization; gives a key of it."""
        self.json("org", "create", slug)
        return self.new_key(slug)

    def new_key(self, slug):
        return self.json("key", "create", "--org", slug, "--role", "admin")["key"]

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def metrics(self):
        """Name (labels left out, so their values are summed) → value."""
        client = self.client()
        client.request("GET", "/metrics", headers={"authorization": f"Bearer {self.admin_token}"})
        totals = {}
        for line in client.getresponse().read().decode().splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                totals[name] = totals.get(name, 0.0) + float(value)
        client.close()
        return totals

    # --- extensions --------------------------------------------------------------------------------------------------

    def bundle(self, name, wasm, capabilities=(), paths=("hello",)):
        """The path of a signed bundle with an endpoint GET /PATH for each path; its handler has the same name."""
        folder = self.path / name
        (folder / "dist").mkdir(parents=True)
        (folder / "dist" / "main.wasm").write_bytes(wasm)
        manifest = {
            "name": name,
            "publisher": "Bench",
            "version": "1.0.0",
            "runtime": "wasm-core@1",
            "entry": "dist/main.wasm",
            "capabilities": list(capabilities),
            "api": {"endpoints": [{"method": "GET", "path": f"/{path}", "handler": path} for path in paths]},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        bundle = folder.with_suffix(".tar.zst")
        self.cli("ext", "pack", folder, "-o", bundle)
        self.cli("ext", "sign", bundle, "--key", self.signing_key)
        return bundle

    def publish(self, bundle, key=None):
        return self.json("ext", "publish", bundle, token=key or self.key)

    def install(self, name, wasm, key=None, capabilities=(), paths=("hello",)):
        """Packs, signs, publishes and installs, in the key's organization; all capabilities are granted. Gives the
        install."""
        self.publish(self.bundle(name, wasm, capabilities, paths), key)
        grants = ["--grant", *capabilities] if capabilities else []
        return self.json("ext", "install", f"{name}@1.0.0", *grants, token=key or self.key)

    def install_hello(self):
        """test/guests/hello.c: what the speed figures are measured on."""
        if not (GUESTS / "hello.wasm").exists():
            subprocess.run([ROOT / "dev", "build", "guests"], check=True)
        return self.install("com.example.hello", (GUESTS / "hello.wasm").read_bytes())

    def call(self, client, name, path="hello"):
        """One call through the gateway on that connection. Gives its seconds and its body."""
        begun = time.perf_counter()
        client.request("GET", f"/api/ext/{name}/{path}", headers={"authorization": f"Bearer {self.key}"})
        answer = client.getresponse()
        text = answer.read()
        seconds = time.perf_counter() - begun
        if answer.status != 200:
            raise RuntimeError(f"{name} answered {answer.status}: {text[:300]}")
        return seconds, text
