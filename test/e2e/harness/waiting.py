"""Waiting without sleeping blindly: for a condition, with a deadline."""

import socket
import time

# In front of a command: a server must not outlive a test run that was killed.
DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def wait_until(condition, seconds=20, what="the condition"):
    """Gives the first true result of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
