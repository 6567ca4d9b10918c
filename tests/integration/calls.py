"""Runs tests/integration/call.c: socket calls by name, and what became of each."""

import dataclasses
import errno

import programs

CALL = programs.BUILD / "tests/call"

# A limit that is reached in most tests, in ms, and when its expiry is too late even on a loaded machine. On an idle one
# it comes within 50 ms where the library keeps the clock and within 350 ms where the kernel does; see the times report.
LIMIT = 300
LATEST = 3500


@dataclasses.dataclass
class Call:
    name: str
    result: int
    errno: str  # "" when it did not fail
    began: float  # ms on the monotonic clock
    ms: float
    more: str

    @property
    def failed(self):
        return self.result < 0

    def expect_expired(self, limit=LIMIT):
        assert (self.result, self.errno) == (-1, "ETIMEDOUT"), self
        assert limit <= self.ms < LATEST + limit, self

    def expect_refused_at_once(self):
        """After an expiry: an error without a wait, never end of file, never data."""
        assert self.failed and self.ms < LIMIT / 2, self


def parse(text):
    calls = []
    for line in text.splitlines():
        name, result, error, began, ms, *more = line.split(" ", 5)
        calls.append(Call(name, int(result), errno.errorcode.get(int(error), ""), float(began), float(ms), "".join(more)))
    return calls


def start(net, *steps, **how):
    return net.start([CALL, *steps], **how)


def finish(program):
    result = program.finish(patience=8)
    assert result.status == 0, result
    return parse(result.out.decode())


def make(net, *steps, **how):
    """Makes the calls and gives what became of each."""
    return finish(start(net, *steps, **how))


def at(server, name="connect"):
    """The step that connects to a server of the test."""
    return f"{name}:127.0.0.1:{server.port}"
