"""How many instructions the library adds to a call that can proceed, counted by callgrind: the same on every machine."""

import ctypes
import platform
import re
import shutil

import pytest

import programs
from faults import tls

LIMITS = dict.fromkeys(["RECV", "SEND", "UNACKED", "CONNECT"], "30s")

# Where libc tells whether there is one thread only (glibc 2.32), a send that has room goes straight.
TOLD = hasattr(ctypes.CDLL(None), "__libc_single_threaded") and platform.machine() in ("x86_64", "aarch64")

# mode of loop.c: calls in a round, and the most that each may cost more, with the defaults and with every limit set. The aim is 15
# everywhere. Under RECV a receive is noted (netdeadline ps) before it is known whether it waits. A round of polled is a send, a
# poll and a receive; one of epolled the same with epoll_wait, which is the program's own at the defaults. One of toggled is four calls
# of epoll_ctl, two of epoll_wait, a send and a receive; one of served what a server does for a connection, from accept to close.
MODES = {"files": (4, 15, 15), "reads": (1, 15, 280), "sends": (1, 20 if TOLD else 80, 60 if TOLD else 130),
         "polled": (1, 127 if TOLD else 180, 1400), "epolled": (1, 73 if TOLD else 140, 700 if TOLD else 1000),
         "toggled": (8, 270 if TOLD else 350, 310 if TOLD else 400), "served": (5, 270 if TOLD else 330, 270 if TOLD else 330)}

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer adds instructions of its own"),
              pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing")]


# The same of a request over TLS whose answer is there: an SSL_write and an SSL_read, with the writes and reads that they make.
TLS_MODES = {"defaults": (480, {}), "limits": (1150, LIMITS)}


def instructions(net, *loop, **how):
    env = programs.environment(**how)
    preload = [f"LD_PRELOAD={env.pop('LD_PRELOAD')}"] if "LD_PRELOAD" in env else []
    result = net.run(["env", *preload, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--child-silent-after-fork=yes", "--log-file=" + str(net.directory / "log.%p"),
                      programs.BUILD / "tests" / loop[0], *loop[1:]], library=False, variables=env, patience=60)
    assert result.status == 0, result
    # The other end is its child; process numbers do not tell which is which where they begin anew.
    (collected,) = [int(found[1]) for log in net.directory.glob("log.*") if (found := re.search(r"Collected : (\d+)", log.read_text()))]
    for log in net.directory.glob("log.*"):
        log.unlink()
    return collected


def per_call(net, mode, **how):
    """Of a call in 1000 more rounds: what start and end cost is in both counts."""
    few, many = (instructions(net, "loop", mode, count, **how) for count in (1000, 2000))
    return (many - few) / 1000 / MODES[mode][0]


@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["defaults", "limits"])
@pytest.mark.parametrize("mode", MODES)
def test_added_instructions(net, record_property, mode, limits):
    added = per_call(net, mode, **limits) - per_call(net, mode, library=False)
    print(f"{mode}: {added:.1f} instructions added to a call")
    assert 0 < added <= MODES[mode][2 if limits else 1]


def test_added_to_a_request_over_tls(net):
    def per_request(**how):
        few, many = (instructions(net, "tlsloop", "ready", count, tls.certificate(), **how) for count in (100, 300))
        return (many - few) / 200

    without = per_request(library=False)
    for name, (most, limits) in TLS_MODES.items():
        added = per_request(**limits) - without
        print(f"TLS, {name}: {added:.1f} instructions added to a request")
        assert 0 < added <= most, name
