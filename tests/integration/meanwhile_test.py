"""What is closed elsewhere, in the memory of the program but not in its table of descriptors, stays open in it: a child of vfork, a
thread with a table of its own. And a seccomp filter ends what bounds a call under way, not the call."""

import time

import pytest

import programs

pytestmark = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime does not stand children in its memory")

MEANWHILE = programs.BUILD / "tests/meanwhile"
MANY = 12 << 20


def serve_late(connection, stop):
    """Reads late and slowly what the call sends, or sends late what it waits for."""
    if connection.recv(4) in (b"send", b"writ"):
        stop.wait(0.8)
        while connection.recv(1 << 18):
            time.sleep(0.002)
    elif not stop.wait(1.2):
        connection.sendall(b"hello ")
        if not stop.wait(0.3):
            connection.sendall(b"again!")
            stop.wait()


WHOLE = {**dict.fromkeys(["send", "write", "writev", "sendmsg", "sendfile"], MANY), "waitall": 12,
         **dict.fromkeys(["recv", "read", "recvmsg"], 6), **dict.fromkeys(["poll", "select", "epoll"], 1)}
ELSEWHERE = ["vfork", "vfork-dup", "vfork-filter", "clone", "unshare", "sysunshare", "close_range"]
LIMITS = {"defaults": {}, "silence": {"RECV": "20s", "SEND": "20s"}, "idle": {"IDLE": "20s"}, "lifetime": {"LIFETIME": "1m"}}


def start(net, *arguments, behaviour=serve_late, **limits):
    return net.start([MEANWHILE, *map(str, arguments[:3]), net.serve(behaviour, receive_buffer=1 << 16).port, *map(str, arguments[3:])],
                     **limits)


def finish(program):
    result = program.finish()
    if result.status == 77:
        pytest.skip("such a descriptor is not allowed here")
    assert result.status == 0, result
    return result.text.split()[1:]


def outcomes(net, when, event, calls, **how):
    """What each call gave, all of them made at the same time, in programs of their own."""
    started = {call: start(net, when, event, call, **how) for call in calls}
    return {call: finish(program) for call, program in started.items()}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("event", [*ELSEWHERE, "filter", "filter-all"])
def test_calls_under_way_go_on(net, event, limits):
    calls = WHOLE if event.startswith("filter") or event == "vfork" else ["send", "recv", "waitall"]
    assert outcomes(net, "during", event, calls, **limits) == {call: [str(WHOLE[call])] for call in calls}


def silent(connection, stop):
    stop.wait()


@pytest.mark.parametrize("limit", [{"RECV": "700ms"}, {"IDLE": "700ms"}, {"LIFETIME": "700ms"}, {"MIN_RATE": "1k/700ms"}], ids=str)
@pytest.mark.parametrize("event", ["nothing", *ELSEWHERE])
def test_limits_hold_on(net, event, limit):
    assert outcomes(net, "before", event, ["recv", "poll", "epoll"], behaviour=silent, **limit) == {
        "recv": ["-1", "ETIMEDOUT"], "poll": ["1"], "epoll": ["1"]}


@pytest.mark.parametrize("number", [70000, 1000000])
@pytest.mark.parametrize("event", ["nothing", "vfork", "vfork-dup", "unshare"])
def test_high_descriptors(net, event, number):
    sends = start(net, "during", event, "send", number)
    receives = start(net, "before", event, "recv", number, behaviour=silent, RECV="700ms")
    waits = start(net, "before", event, "epoll", number, behaviour=silent, IDLE="700ms")
    assert finish(sends) == [str(MANY)]
    assert finish(receives) == ["-1", "ETIMEDOUT"]
    assert finish(waits) == ["1"]
