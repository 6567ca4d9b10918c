"""Sockets that io_uring puts into an epoll set."""

import pytest

import programs
from faults import tcp

URING = programs.BUILD / "tests/uring"


def run(net, how, **limits):
    result = net.run([URING, net.serve(tcp.silent).port, how], **limits)
    if result.status == 77:
        pytest.skip("there is no io_uring here")
    assert result.status == 0, result
    ready, ms, got, error = result.out.decode().split()
    return int(ready), int(ms), got, error


@pytest.mark.parametrize("how", ["add", "modify"])
def test_its_silence_ends(net, how):
    ready, ms, *outcome = run(net, how, RECV="300ms")
    assert ready == 1 and 150 <= ms < 1500 and outcome == ["-1", "ETIMEDOUT"], (ms, outcome)


@pytest.mark.parametrize("how, limits", [("add", {}), ("two", {"RECV": "300ms"}), ("delete", {"RECV": "300ms"})],
                         ids=["no limit", "an event loop of several", "not waited for"])
def test_nothing_else_does(net, how, limits):
    ready, ms, *outcome = run(net, how, **limits)
    assert ready == 0 and ms >= 2000 and outcome == ["-1", "EAGAIN"], (ms, outcome)


