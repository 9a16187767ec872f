"""HTTP byte by byte, for requests that no library would send."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


class RawConnection:
    """A socket to the platform. Every wait ends after `seconds`."""

    def __init__(self, platform, seconds=20):
        place = urlsplit(platform.url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=seconds)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def request(self, method, path, token="", headers=(), body=b""):
        """A head with Host, then the lines of `headers` as they are, then the body."""
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", *headers]
        if token:
            lines.append(f"authorization: Bearer {token}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def more(self):
        piece = self.socket.recv(65536)
        self.received += piece
        return piece

    def answer(self):
        """The next answer; its body by content-length."""
        while b"\r\n\r\n" not in self.received:
            if not self.more():
                raise AssertionError(f"the connection ended after {self.received!r}")
        head, _, rest = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        self.received = rest
        while len(self.received) < size:
            if not self.more():
                raise AssertionError("the connection ended inside a body")
        body, self.received = self.received[:size], self.received[size:]
        return Answer(int(first.split(" ")[1]), headers, body)

    def is_closed(self):
        """Waits until the other side has closed; False when it sends something instead."""
        try:
            return self.more() == b""
        except ConnectionResetError:
            return True
