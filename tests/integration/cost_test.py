"""What the library costs a program that does not wait: no system call on the hot path, next to nothing at the start."""

import os
import re
import statistics
import subprocess

import pytest

import programs
from faults import tcp, tls

pytestmark = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime makes system calls of its own")

LOOP = programs.BUILD / "tests/loop"
TIMES = {"RECV": "30s", "SEND": "30s", "TLS_HANDSHAKE": "30s", "TLS_SHUTDOWN": "30s", "CONNECT": "30s", "UNACKED": "30s"}
PACE = {"IDLE": "30s", "LIFETIME": "1h", "MIN_RATE": "1k/30s", "ACCEPT": "30s", "INBOUND_IDLE": "30s", "INBOUND_LIFETIME": "1h",
        "INBOUND_MIN_RATE": "1k/30s"}
LIMITS = pytest.mark.parametrize("limits", [{}, TIMES], ids=["defaults", "limits"])


def system_calls(net, *argv, library=True, failed=True, **limits):
    """How often the program made each system call; without those that failed, if so asked."""
    table = net.directory / "strace"
    env = programs.environment(library, **limits)
    preload = ["-E", f"LD_PRELOAD={env['LD_PRELOAD']}"] if library else []
    result = net.run(["strace", "-c", "-U", "name,calls,errors", *preload, "-o", table, *argv], library=False, **limits)
    assert result.status == 0, result
    rows = re.findall(r"^(\w+) +(\d+)(?: +(\d+))? *$", table.read_text(), re.MULTILINE)
    return {name: int(count) - (0 if failed else int(errors or 0)) for name, count, errors in rows if name != "total"}


def per_round(net, mode, **how):
    """The system calls of 1000 more rounds: what start and end make is in both counts, but for one look at a page of the stack, which
    depends on where that begins."""
    few, many = (system_calls(net, LOOP, mode, count, **how) for count in (1000, 2000))
    return {name: many[name] - few.get(name, 0) for name in many if abs(many[name] - few.get(name, 0)) > 1}


def waited(calls):
    """Without what a receive pays that finds nothing and whose first limit is UNACKED: it is tried, waits in poll, and is made again;
    after 10 ms the descriptor is asked what it is, once."""
    return {name: count for name, count in calls.items() if name not in ("poll", "fcntl", "getsockopt", "newfstatat")}


@LIMITS
@pytest.mark.parametrize("mode, expected", [
    ("pingpong", {"sendto": 1000, "recvfrom": 1000}),
    ("files", {"read": 2000, "write": 2000}),
])
def test_same_system_calls(net, mode, expected, limits):
    assert per_round(net, mode, library=False) == expected
    assert waited(per_round(net, mode, failed=bool(limits), **limits)) == expected


# What must not wait for ever is a sendto or recvfrom with MSG_DONTWAIT first: another name, but one call for one.
ONE_FOR_ONE = {"write": "sendto", "recvfrom": "read"}


def merged(calls):
    return {name: sum(count for other, count in calls.items() if ONE_FOR_ONE.get(other, other) == name)
            for name in {ONE_FOR_ONE.get(name, name) for name in calls}}


@LIMITS
def test_as_many_system_calls_for_read_and_write(net, limits):
    assert waited(merged(per_round(net, "readwrite", failed=bool(limits), **limits))) == {"read": 1000, "sendto": 1000}


def test_a_receive_that_waits_pays_two_calls(net):
    calls = per_round(net, "pingpong")
    assert calls["recvfrom"] - 1000 <= 1000 and calls.get("poll", 0) <= 1000, calls


def test_waits_without_a_limit_are_the_same(net):
    assert per_round(net, "polled") == per_round(net, "polled", library=False)


@pytest.mark.parametrize("limits", [PACE, PACE | TIMES], ids=["pace", "all"])
def test_waits_and_what_can_proceed_are_the_same_under_every_limit(net, limits):
    assert per_round(net, "polled", **limits) == per_round(net, "polled", library=False)


@pytest.mark.parametrize("limits", [{}, PACE, PACE | TIMES], ids=["defaults", "pace", "all"])
def test_epoll_is_the_same_under_every_limit(net, limits):
    """A server's loop: 1,000 rounds of waiting, receiving and answering, but for a look every now and then."""
    calls = per_round(net, "epolled", **limits)
    assert {name: calls.get(name, 0) for name in ("recvfrom", "sendto")} == {"recvfrom": 1000, "sendto": 1000}
    assert abs(calls.get("epoll_wait", 0) - 1000) < 5, calls
    assert sum(calls.values()) < 3050, calls


@pytest.mark.parametrize("limits", [{}, TIMES], ids=["defaults", "limits"])
def test_asking_for_room_costs_no_look(net, limits):
    """A client's loop that asks for room with each question: what looks at the set every 10 ms would make 200 calls more here, for
    the one socket that it does look at."""
    calls = per_round(net, "toggled", **limits)
    assert {name: calls.get(name, 0) for name in ("epoll_ctl", "recvfrom", "sendto")} == {"epoll_ctl": 4000, "recvfrom": 1000, "sendto": 1000}
    assert abs(calls.get("epoll_wait", 0) - 2000) < 10 and sum(calls.values()) < 8060, calls


TLS_LOOP = """
import socket, ssl, sys
secure = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
for _ in range(int(sys.argv[2])):
    secure.send(b"hello")
    secure.recv(5)
"""


@LIMITS
def test_as_many_system_calls_over_tls(net, limits):
    server = net.serve(tls.over_tls(tcp.echo))

    def calls(count, **how):
        return waited(merged(system_calls(net, programs.PYTHON, "-c", TLS_LOOP, server.port, count, failed=False, **how)))

    def a_round(**how):
        """Rounded: whether the handshake had to wait differs by a few calls from run to run."""
        few, many = calls(100, **how), calls(300, **how)
        counts = {name: round((many[name] - few.get(name, 0)) / 200) for name in many}
        return {name: count for name, count in counts.items() if count}

    assert a_round(library=False) == a_round(**limits) == {"sendto": 1, "read": 2}


@LIMITS
def test_start_opens_nothing(net, limits):
    """No thread, no socket, no descriptor kept: what is opened for loading is closed, and the library reads no file."""
    without, under = (system_calls(net, "true", library=library, failed=False, **limits) for library in (False, True))
    assert under["openat"] - under["close"] == without["openat"] - without["close"]
    more = {name for name in under if under[name] > without.get(name, 0)}
    assert not more & {"clone", "clone3", "socket", "pipe", "pipe2", "eventfd2", "epoll_create1", "rt_sigaction"}, more


def test_start_adds_few_system_calls(net, tmp_path):
    """15. Eight are the loader's, as for any preloaded library: open, read, fstat, two mmap for code and data and one for what is zero at
    first, close, mprotect. Seven are the library's own: it looks for the way out and for the config file, asks for the number of the
    process, and for the inherited descriptors: those that are open, by one fcntl each, and by a poll which those are. What is no socket
    is asked nothing more. None of them can wait until a socket is used: by then the program may have left its root directory, its user
    and its environment behind, or have put on a seccomp filter; an inherited socket may be read by stdio, past every hook."""
    empty = tmp_path / "empty.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", empty, "-x", "c", "/dev/null"], check=True)
    without, under = (sum(system_calls(net, "true", library=library).values()) for library in (False, True))
    least = sum(system_calls(net, "env", f"LD_PRELOAD={empty}", "true", library=False).values()) - sum(
        system_calls(net, "env", "true", library=False).values())
    print(f"{under - without} system calls, of which any preloaded library adds {least}")
    assert under - without <= 15, (under, without, least)
    calls = system_calls(net, "true")
    assert calls["fcntl"] <= 5 and "getsockopt" not in calls and "madvise" not in calls, calls


def test_the_loader_has_little_to_do():
    """It searches for each symbol that the library refers to by name, at 250 to 400 ns; most functions of libc, the hundred-odd real ones
    among them, are found at their first call. What it makes read-only after relocation is one page."""
    if "libcares.so" in subprocess.run(["readelf", "-dW", programs.LIBRARY], capture_output=True, text=True, check=True).stdout:
        pytest.skip("a c-ares that is not linked in has symbols of its own")
    told = subprocess.run(["readelf", "-lrW", programs.LIBRARY], capture_output=True, text=True, check=True).stdout
    searched = re.findall(r"^[0-9a-f]+ +[0-9a-f]+ R_\w+ +[0-9a-f]+ +[A-Za-z_]\w*(?:@\S+)?", told, re.MULTILINE)
    assert 20 < len(searched) <= 34, searched
    start, size = (int(number, 16) for number in re.search(r"GNU_RELRO +\w+ +(\w+) +\w+ +\w+ +(\w+)", told).groups())
    assert (start + size - 1) // 4096 == start // 4096, (start, size)


def test_start_writes_to_few_pages(net):
    """At most 64 KiB of private memory are added to a program that does nothing on the network. (Private_Dirty would count pages of a
    library, too, that was just linked and is not on the disk yet.)"""
    def private(library):
        told = net.run(["cat", "/proc/self/smaps"], library=library)
        assert told.status == 0, told
        return sum(int(size) for size in re.findall(r"^Anonymous: +(\d+) kB$", told.out.decode(), re.MULTILINE))

    added = min(private(True) for _ in range(3)) - min(private(False) for _ in range(3))
    assert 0 < added <= 64, added


def test_start_touches_few_pages(tmp_path):
    """A page fault costs a start more than a system call. Three more than those of an empty library: the library's constants, the place for
    the rules, and libc's code that registers what a forked child does; two are to spare."""
    empty = tmp_path / "empty.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", empty, "-x", "c", "/dev/null"], check=True)

    def faults(library):
        _, _, used = os.wait4(os.posix_spawn("/bin/true", ["true"], {"LD_PRELOAD": str(library)}), 0)
        return used.ru_minflt

    counts = {library: min(faults(library) for _ in range(20)) for library in (empty, programs.LIBRARY)}
    assert counts[programs.LIBRARY] <= counts[empty] + 5, counts


@pytest.mark.alone
def test_start_up_time(report_time):
    """At most 1 ms of a processor is added to `true`, whatever else runs."""
    with_library, without = programs.environment(), programs.environment(library=False)
    times = {True: [], False: []}
    for round in range(400):
        library = bool(round % 2)
        pid = os.posix_spawn("/bin/true", ["true"], with_library if library else without)
        _, status, used = os.wait4(pid, 0)
        assert status == 0
        times[library].append(used.ru_utime + used.ru_stime)
    added = statistics.median(times[True]) - statistics.median(times[False])
    report_time("added to the start of true", added)
    assert added < 0.001
