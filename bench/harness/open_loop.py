"""An open-loop client: requests leave when the schedule says, whatever became of those before.

A latency counts from the intended time of sending, so a server (or a client) that stalls is charged for every request
that it kept from leaving; a closed loop would leave those out.
"""

import asyncio
import gc
import random
import selectors
import time
from dataclasses import dataclass

GOOD_WITHIN = 1.0  # seconds; later answers are no goodput
GIVE_UP_AFTER = 10.0


@dataclass
class Outcome:
    """What a round came to."""

    sent: int
    seconds: float
    latencies_ms: list  # of the good answers and of the late ones; what was given up counts as GIVE_UP_AFTER
    good: int  # answered 200 in time
    refused: dict  # status (0: no answer) -> how many


class Source:
    """One caller: a request's bytes, a rate, and as many connections as are busy at once, all from one address.

    All of 127/8 is this machine: with an address each, callers share no rate limit by address."""

    def __init__(self, port, path, key, rate, address="127.0.0.1"):
        head = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\r\n"
        self.port, self.request, self.rate, self.address = port, head.encode(), rate, address
        self.idle = []

    async def ask(self):
        """The status of one call."""
        # The connection that was used last: the others may time out.
        reader, writer = self.idle.pop() if self.idle else await self.connect()
        try:
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self.idle.append((reader, writer))
        return int(head[9:12])

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))

    def close(self):
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()


def play(sources, seconds, seed=1):
    """All sources at their rates for that long. Each slot of a schedule has one request, at a random point in it."""
    # epoll's time-outs are whole milliseconds: requests would leave late. There are few sockets here.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        gc.collect()
        gc.disable()
        try:
            return runner.run(play_all(sources, seconds, random.Random(seed)))
        finally:
            gc.enable()


async def play_all(sources, seconds, chance):
    schedule = sorted(
        ((slot + chance.random()) / source.rate, number)
        for number, source in enumerate(sources)
        for slot in range(int(seconds * source.rate))
    )
    # Connecting and the first call are not what is measured.
    await asyncio.gather(*(source.ask() for source in sources))
    outcome = Outcome(len(schedule), seconds, [], 0, {})
    begun = time.perf_counter()
    running = []
    for at, number in schedule:
        wait = begun + at - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        running.append(asyncio.create_task(ask_one(sources[number], begun + at, outcome)))
    await asyncio.gather(*running)
    for source in sources:
        source.close()
    return outcome


async def ask_one(source, intended, outcome):
    try:
        status = await asyncio.wait_for(source.ask(), GIVE_UP_AFTER)
    except (OSError, EOFError, TimeoutError):
        status = 0
    took = time.perf_counter() - intended
    if status != 200:
        outcome.refused[status] = outcome.refused.get(status, 0) + 1
        # A refusal is no fast answer.
        took = GIVE_UP_AFTER
    outcome.latencies_ms.append(1e3 * took)
    outcome.good += took <= GOOD_WITHIN
