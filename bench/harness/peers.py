"""The peers that we are measured against, built on demand from the package registries into the cache:

  wasmtime serve   crate wasmtime-cli, pooling allocator on, with a minimal wasi:http component in C (peers/hello.c)
  workerd          npm package workerd, with one hello worker (peers/hello.js)

Each answers GET / with the same five bytes as test/guests/hello.c.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.paths import CACHE, ROOT
from harness.servers import Server, free_port, wait_for_port

FOLDER = CACHE / "peers"
SOURCES = ROOT / "bench" / "peers"
WASMTIME = "48.0.8"
WIT_BINDGEN = "0.63.0"
WASM_TOOLS = "1.263.0"
WORKERD = "1.20261117.1"
CLANG = ["clang-19", "--target=wasm32", "-O2", "-mbulk-memory", "-ffreestanding", "-nostdlib", "-Wl,--no-entry"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def cargo_install(crate, version, binary, *arguments):
    program = FOLDER / "bin" / binary
    stamp = FOLDER / f".{crate}-{version}"
    if program.exists() and stamp.exists():
        return program
    say(f"building {crate} {version} (kept in {FOLDER})")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(FOLDER / "target")}
    command = ["nice", "cargo", "install", "--locked", "--force", "--root", str(FOLDER), "--version", version, crate]
    subprocess.run([*command, *arguments], check=True, env=environment)
    shutil.rmtree(FOLDER / "target", ignore_errors=True)
    stamp.touch()
    return program


def wasmtime():
    return cargo_install("wasmtime-cli", WASMTIME, "wasmtime")


def component():
    """peers/hello.c as a wasi:http component. The WIT files are those that come with the wasmtime-wasi-http crate."""
    out = FOLDER / "hello.component.wasm"
    source = SOURCES / "hello.c"
    if out.exists() and out.stat().st_mtime > source.stat().st_mtime:
        return out
    wasmtime()
    wit_bindgen = cargo_install("wit-bindgen-cli", WIT_BINDGEN, "wit-bindgen", "--no-default-features", "--features=c")
    wasm_tools = cargo_install("wasm-tools", WASM_TOOLS, "wasm-tools")
    registry = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry" / "src"
    wit = next(registry.glob(f"*/wasmtime-wasi-http-{WASMTIME}/wit"))
    build = FOLDER / "component"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    subprocess.run([wit_bindgen, "c", wit, "--world", "wasi:http/proxy", "--out-dir", build], check=True)
    core = build / "core.wasm"
    # The generated code needs five functions of libc; hello.c has them, and peers/include their headers.
    generated = [build / "proxy.c", build / "proxy_component_type.o"]
    includes = ["-I", build, "-isystem", SOURCES / "include"]
    subprocess.run([*CLANG, *includes, "-o", core, source, *generated], check=True)
    subprocess.run([wasm_tools, "component", "new", core, "-o", out], check=True)
    return out


def workerd():
    folder = FOLDER / "workerd"
    stamp = folder / f".{WORKERD}"
    if not stamp.exists():
        say(f"installing workerd {WORKERD}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private":true}\n', encoding="utf-8")
        subprocess.run(["npm", "install", "--silent", f"workerd@{WORKERD}"], check=True, cwd=folder)
        stamp.touch()
    # The package's own launcher is a Node script; the program lies in the package of the platform.
    return next((folder / "node_modules" / "@cloudflare").glob("workerd-*/bin/workerd"))


def start_wasmtime_serve():
    """A Server and its URL."""
    port = free_port()
    command = [
        wasmtime(),
        "serve",
        "-O",
        "pooling-allocator=y",
        "-S",
        "cli",
        "--addr",
        f"127.0.0.1:{port}",
        component(),
    ]
    server = Server(command)
    wait_for_port(port, server.process)
    return server, f"http://127.0.0.1:{port}/"


def start_workerd():
    """A Server and its URL."""
    port = free_port()
    command = [workerd(), "serve", SOURCES / "workerd.capnp", "--socket-addr", f"http=127.0.0.1:{port}"]
    server = Server(command)
    wait_for_port(port, server.process)
    return server, f"http://127.0.0.1:{port}/"


PEERS = {"wasmtime serve": start_wasmtime_serve, "workerd": start_workerd}
