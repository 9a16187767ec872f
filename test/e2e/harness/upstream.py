"""A host for http.fetch to reach: an HTTP or HTTPS server on an address of this machine that is private, not loopback.

The platform never lets a guest reach loopback, whatever is configured, so an end-to-end test needs another address: one
that the machine has, or (as root) one put on the loopback interface for as long as the test runs.
"""

import ipaddress
import json
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext

SPARE = "10.99.0.1"
PRIVATE = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def own_private_address():
    done = subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, text=True, check=True)
    for interface in json.loads(done.stdout):
        for info in interface["addr_info"]:
            if any(ipaddress.ip_address(info["local"]) in block for block in PRIVATE):
                return info["local"]
    return None


@contextmanager
def private_address():
    own = own_private_address()
    if own:
        yield own
        return
    place = [f"{SPARE}/32", "dev", "lo"]
    done = subprocess.run(["ip", "address", "add", *place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the test needs a private IPv4 address, or root to make one: {done.stderr}"
    try:
        yield SPARE
    finally:
        subprocess.run(["ip", "address", "del", *place], check=True)


def make_certificate(folder, address):
    """A certificate for the address that is its own authority: paths of certificate and key."""
    certificate, key = folder / "upstream.pem", folder / "upstream.key"
    files = ["-keyout", key, "-out", certificate, "-subj", "/CN=upstream", "-addext", f"subjectAltName=IP:{address}"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            *files,
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that leaves early is what some tests are about."""


class Upstream:
    """`routes[path]` answers (status, headers, body) for a request; `seen` is every request, newest last."""

    def __init__(self, address, tls=None):
        self.routes, self.seen = {}, []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                upstream.seen.append({"method": self.command, "path": self.path, "headers": self.headers, "body": body})
                status, headers, content = upstream.routes.get(self.path, lambda _: (404, {}, b""))(upstream.seen[-1])
                self.send_response(status)
                for name, value in {"content-length": len(content), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = Server((address, 0), Handler)
        if tls:
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"{address}:{self.server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
