"""POST /v1/execute over HTTP on a runner, against the peers."""

import json

from harness.load import Request, compare_with_peers
from harness.platform import NO_RATES, ONE_CORE, Platform
from harness.servers import free_port


def run(report):
    port = free_port()
    with Platform({**ONE_CORE, **NO_RATES, "runner.listen": f"127.0.0.1:{port}"}) as platform:
        install = platform.install_hello()
        compare_with_peers(report, platform.server, lambda: request(platform, install, port))


def request(platform, install, port):
    token = platform.cli("runner", "token", "--data-dir", platform.data).strip()
    call = {
        "context": {
            "request_id": "01a203b8-e00e-7788-b16d-8063703d4b97",
            "tenant_id": platform.organization,
            "extension_id": install["extension_id"],
            "install_id": install["id"],
            "content_hash": install["content_hash"],
            "version_id": install["version_id"],
        },
        "http": {"method": "GET", "path": "/hello", "handler": "handle", "query": {}, "headers": {}},
        "limits": {"timeout_ms": 5000, "memory_mb": 256},
    }
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return Request(f"http://127.0.0.1:{port}/v1/execute", "POST", headers, json.dumps(call, separators=(",", ":")))
