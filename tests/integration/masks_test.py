"""The signal masks and timeouts of waits, where the library makes several waits of one."""

import pytest

import programs

MASKS = programs.BUILD / "tests/masks"
BOTH = pytest.mark.parametrize("limits", [{}, dict.fromkeys(["RECV", "SEND"], "7ms")], ids=["defaults", "limits"])
MASKED = ["ppoll", "pselect", "epoll_pwait", "epoll_pwait2"]


def expect_good(net, call, what, library=True, **limits):
    result = net.run([MASKS, call, what], library=library, **limits)
    assert (result.status, result.out) == (0, b"good\n"), result


@pytest.mark.musl
@pytest.mark.skipif("tsan" in programs.RUNTIME, reason="it runs handlers itself, later and under a mask of its own")
@BOTH
@pytest.mark.parametrize("what", ["letin", "keptout"])
@pytest.mark.parametrize("call", MASKED)
def test_mask(net, call, what, limits):
    """A signal that only the mask lets in ends the wait; one that only the mask blocks is handled when it is over."""
    expect_good(net, call, what, **limits)


@pytest.mark.musl
@BOTH
@pytest.mark.parametrize("call", ["ppoll", "pselect", "epoll_pwait2"])
def test_a_timeout_that_the_kernel_refuses(net, call, limits):
    expect_good(net, call, "refused", **limits)


@pytest.mark.musl
@BOTH
@pytest.mark.parametrize("call", ["poll", "select", "epoll_wait", *MASKED])
def test_own_timeout_is_exact(net, call, limits):
    """Never early, and not 30 ms late each time."""
    expect_good(net, call, "exact", **limits)
