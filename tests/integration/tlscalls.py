"""Runs tests/integration/tls.c: TLS calls by name, with OpenSSL or GnuTLS, and what became of each."""

import dataclasses
import errno

import programs
from calls import LATEST, LIMIT

TLS = programs.BUILD / "tests/tls"
MS = f"{LIMIT}ms"
LIBRARIES = ["openssl", "gnutls"]
WAYS = ["block", "poll", "select", "epoll", "sleep"]


@dataclasses.dataclass
class TlsCall:
    name: str
    ms: float
    result: int
    meaning: str
    errno: str

    def expect_expired(self, limit=LIMIT):
        """As the library explains a connection that has failed with ETIMEDOUT: an error, for good, and no end of file."""
        assert self.result < 0 and self.errno == "ETIMEDOUT", self
        assert self.meaning in ("syscall", "GNUTLS_E_PULL_ERROR", "GNUTLS_E_PUSH_ERROR"), self
        assert limit - 1 <= self.ms < limit + LATEST, self

    def expect_refused_at_once(self):
        assert self.result < 0 and self.ms < LIMIT / 2, self
        assert self.meaning in ("syscall", "ssl", "GNUTLS_E_PULL_ERROR", "GNUTLS_E_PUSH_ERROR"), self
        assert self.errno in ("ETIMEDOUT", "ECONNRESET", "EPIPE"), self

    def expect_done(self):
        assert self.result >= 0 and self.meaning == "", self


def make(net, library, way, server, *steps, **how):
    """Makes the calls on a connection to a server of the test; gives what became of each."""
    result = net.run([TLS, library, way, server.port, *steps], patience=12, **how)
    assert result.status == 0, result
    return parse(result)


def parse(result):
    calls = []
    for line in result.out.decode().splitlines():
        name, ms, value, meaning, error = line.split("|")
        calls.append(TlsCall(name, float(ms), int(value), meaning, errno.errorcode.get(int(error), "")))
    return calls
