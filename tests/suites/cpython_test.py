"""CPython's own tests of its network modules, from Debian's package: each test ends under the library as it ends without.

A share of a module is a test here: it runs without the library and with limits that are not reached (EXTENT=all: with its defaults, too), in a
private network each. What differs is asked again by itself, as some of these tests depend on the machine's load.
"""

import contextlib
import os
import pathlib

import pytest

import programs
from network import Net

DIRECTORY = pathlib.Path(__file__).parent
LONG = {"LIFETIME": "1h", "INBOUND_LIFETIME": "1h",
        **dict.fromkeys(["RESOLVE", "CONNECT", "ACCEPT", "RECV", "SEND", "UNACKED", "IDLE", "TLS_HANDSHAKE", "TLS_SHUTDOWN",
                         *(f"INBOUND_{name}" for name in ("RECV", "SEND", "UNACKED", "IDLE", "TLS_HANDSHAKE"))], "100s")}
VARIANTS = [{"library": False}, LONG, *([{}] if os.environ.get("EXTENT") == "all" else [])]

# Which modules, in how many shares.
SHARES = {"test.test_socket": 4, "test.test_select": 1, "test.test_selectors": 1, "test.test_ssl": 2, "test.test_subprocess": 3,
          "test.test_socketserver": 1, "test.test_asyncio.test_events": 4,
          **{f"test.test_asyncio.test_{name}": 1 for name in (
              "base_events", "buffered_proto", "selector_events", "sendfile", "server", "sock_lowlevel", "ssl", "sslproto", "streams",
              "subprocess", "transports", "unix_events")}}


def installed():
    return any(pathlib.Path("/usr/lib").glob("python3.*/test/test_socket.py"))


pytestmark = [pytest.mark.skipif(not installed(), reason="CPython's tests are missing: scripts/setup installs them"),
              pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime is not to be compared")]


def outcomes(result):
    """Test id to outcome; a test that was running at the end hung, or ended the whole."""
    lines = (line.split("\t") for line in result.out.decode(errors="replace").splitlines())
    pairs = (line for line in lines if len(line) == 2)  # a test may print what it likes
    return {name: outcome or f"ended it ({result.status})" for name, outcome in pairs}


@pytest.fixture
def nets(tmp_path_factory):
    """A private network for each variant."""
    with contextlib.ExitStack() as stack:
        yield [Net(tmp_path_factory.mktemp("net"), stack) for _ in VARIANTS]


def run(nets, *which):
    programs_ = [net.start([programs.PYTHON, DIRECTORY / "cpython_child.py", *which], **variant)
                 for net, variant in zip(nets, VARIANTS, strict=True)]
    return [program.finish(patience=400) for program in programs_]


def differing(results):
    told = [outcomes(result) for result in results]
    return {name: [each.get(name, "not run") for each in told] for name in set().union(*told)
            if len({each.get(name) for each in told}) > 1}


@pytest.mark.parametrize("module, share", [pytest.param(module, share, id=f"{module.removeprefix('test.')}-{share + 1}")
                                           for module, shares in SHARES.items() for share in range(shares)])
def test_same_outcomes(nets, record_property, module, share):
    results = run(nets, module, str(share), str(SHARES[module]))
    first = outcomes(results[0])
    assert first, results[0]
    stands = {}
    for name in differing(results):
        for _ in range(2):
            again = run(nets, module, name)
            if not differing(again):
                break
        else:
            stands[name] = [(outcomes(result), result.err[-1500:].decode(errors="replace")) for result in again]
    passed = sum(outcome == "ok" for outcome in first.values())
    record_property("suite", [module, len(first), passed])
    assert not stands, stands
