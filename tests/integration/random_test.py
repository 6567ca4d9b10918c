"""A random walk through the socket calls is the same with and without the library, under limits that lie far away."""

import pytest

import programs

NAMES = ("RECV", "SEND", "UNACKED", "IDLE", "LIFETIME", "KEEPALIVE")
LIMITS = {"defaults": {}, "RECV": {"RECV": "30s", "INBOUND_RECV": "30s"},
          "all": {f"{side}{name}": "30s" for side in ("", "INBOUND_") for name in NAMES} |
                 {"MIN_RATE": "1/30s", "CONNECT": "30s", "ACCEPT": "30s"}}
WALKS = 40


def walk(net, seed, refused=(), **how):
    result = net.run([programs.BUILD / "tests/random", seed, 150, *refused], **how)
    assert result.status == 0 and not result.cut, (seed, how, result)
    return result.out.decode().splitlines()


def differs(net, seed, limits, refused=()):
    """The first step that differs, or None. Some depend on time: only a difference that is there each time counts."""
    without, within = [], []
    for _ in range(4):
        without.append(walk(net, seed, refused, library=False))
        within.append(walk(net, seed, refused, **limits))
        if within[-1] in without or without[-1] in within or without[-1] != without[0] or within[-1] != within[0]:
            return None
    return next(((seed, *lines) for lines in zip(without[0], within[0]) if lines[0] != lines[1]), (seed, "length"))


@pytest.mark.musl
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_nothing_differs(net, limits, part):
    found = [differs(net, seed, limits) for seed in range(part, WALKS, 4)]
    assert not any(found), [each for each in found if each]


# What the library asks the kernel for itself, with an error of each kind; a program that makes such calls sees the same.
REFUSED = ["nofile", "poll=1", "poll=12", "ioctl=1", "getsockopt=1", "getsockopt=92", "getpeername=105", "sigaction=1", "sigprocmask=1"]


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime needs the calls itself")
@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("limits", [LIMITS["defaults"], LIMITS["all"]], ids=["defaults", "all"])
def test_nothing_differs_where_calls_fail(net, limits, refused):
    found = [differs(net, seed, limits, [refused]) for seed in range(100, 105)]
    assert not any(found), [each for each in found if each]
