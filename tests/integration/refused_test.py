"""Calls that the library makes for itself fail, with every error that they may have: nothing spins, hangs for longer than without
the library, or gives a wrong result."""

import errno
import itertools

import pytest

import programs
from faults import FullBacklog, tcp

pytestmark = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime needs the calls itself")

LIMIT = 300
RECEIVES = ["recv", "waitall", "recvmmsg"]
SENDS = ["send", "writev", "sendfile"]
WAITS = ["select", "epoll"]  # poll itself fails

# A filter denies a call with one error at a time; those that the man page names, and what filters give.
ERRORS = {"poll": ["EINTR", "EINVAL", "ENOMEM", "EPERM", "ENOSYS"], "ioctl": ["EPERM"], "fcntl": ["EPERM"], "getsockopt": ["EPERM", "ENOPROTOOPT"],
          "setsockopt": ["EPERM"], "fstat": ["EPERM"], "getpeername": ["ENOBUFS"], "sigaction": ["EPERM"], "sigprocmask": ["EPERM"],
          "shutdown": ["EPERM"]}
DENIED = [f"{call}={getattr(errno, name)}" for call, names in ERRORS.items() for name in names]


def make(net, port, *what, **limits):
    """Result, error and milliseconds."""
    result = net.run([programs.BUILD / "tests/refused", port, *what], patience=7, **limits)
    assert result.status == 0 and not result.cut, result
    given, error, ms, used = (int(word) for word in result.out.split())
    assert used < 150, f"spins: {used} ms of processor time in {ms} ms"
    return given, errno.errorcode.get(error, ""), ms


@pytest.fixture
def silent(net):
    return net.serve(tcp.silent, receive_buffer=2048).port


@pytest.fixture
def late(net):
    return net.serve(tcp.after(0.7, tcp.greeting(b"hello"))).port


@pytest.mark.musl
@pytest.mark.parametrize("signals", ["", "+"], ids=["quiet", "interrupted"])
@pytest.mark.parametrize("operation", RECEIVES + SENDS + WAITS)
def test_no_descriptors_allowed(net, silent, operation, signals):
    """RLIMIT_NOFILE of 0, under which poll fails with EINVAL: the limits are kept all the same."""
    limit = "SEND" if operation in SENDS else "RECV"
    given, error, ms = make(net, silent, "nofile", operation + signals, **{limit: f"{LIMIT}ms"})
    if signals and operation in WAITS:
        assert error == "EINTR", (given, error)
    else:
        assert (given, error) == (-1, "ETIMEDOUT") and LIMIT <= ms + 5 < LIMIT + 3000, (given, error, ms)


@pytest.mark.parametrize("signals", ["", "+"], ids=["quiet", "interrupted"])
@pytest.mark.parametrize("limit", ["IDLE", "LIFETIME"])
@pytest.mark.parametrize("operation", ["recv", "send", "select", "epoll"])
def test_no_descriptors_allowed_to_a_connection(net, silent, operation, limit, signals):
    given, error, ms = make(net, silent, "nofile", operation + signals, **{limit: f"{LIMIT}ms"})
    assert error == ("EINTR" if signals and operation in WAITS else "ETIMEDOUT"), (given, error, ms)


@pytest.mark.parametrize("operation, error", [("poll", "EINVAL"), ("accept", "EMFILE")])
def test_no_descriptors_allowed_to_the_program(net, silent, operation, error):
    assert make(net, silent, "nofile", operation, RECV=f"{LIMIT}ms", ACCEPT=f"{LIMIT}ms")[:2] == (-1, error)


def test_no_descriptors_allowed_to_a_connect(net):
    port = net.open(FullBacklog).port
    given, error, ms = make(net, port, "nofile", "connect+", CONNECT=f"{LIMIT}ms")
    assert (given, error) == (-1, "ETIMEDOUT") and ms < LIMIT + 3000


def test_no_descriptors_allowed_to_a_lookup(net, silent):
    net.dns(lambda *_: None)
    without, under = (make(net, silent, "nofile", "lookup", library=library, RESOLVE="1s") for library in (False, True))
    assert under[:2] == without[:2] and under[2] < 2000, (without, under)


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(["RECV", "SEND", "IDLE"], "5s")], ids=["defaults", "limits"])
@pytest.mark.parametrize("what", ["nofile", *DENIED])
@pytest.mark.parametrize("operation", ["recv+", "recvmmsg", "select", "epoll"])
def test_what_comes_is_received(net, late, operation, what, limits):
    given, error, ms = make(net, late, what, operation, **limits)
    assert given == 5, (given, error, ms)


KNOWN = [what for what in DENIED if not what.startswith("getsockopt")]


@pytest.mark.parametrize("what", KNOWN)
@pytest.mark.parametrize("limit", ["RECV", "IDLE"])
@pytest.mark.parametrize("operation", ["recv+", "waitall", "recvmmsg", "select", "epoll"])
def test_silence(net, silent, operation, limit, what):
    given, error, ms = make(net, silent, what, operation, **{limit: f"{LIMIT}ms"})
    assert given < 0 and error in ("ETIMEDOUT", "ENOTCONN", "ECONNRESET"), (given, error, ms)


@pytest.mark.parametrize("what", KNOWN)
@pytest.mark.parametrize("limit", ["SEND", "IDLE"])
@pytest.mark.parametrize("operation", ["send+", "writev", "sendfile"])
def test_no_room(net, silent, operation, limit, what):
    if (what.startswith("poll") or what.startswith("setsockopt")) and operation == "sendfile":
        pytest.skip("it is the program's own then")
    given, error, ms = make(net, silent, what, operation, **{limit: f"{LIMIT}ms"})
    assert given < 0 and error in ("ETIMEDOUT", "ENOTCONN", "ECONNRESET", "EPIPE", "EAGAIN"), (given, error, ms)


@pytest.mark.parametrize("what", ["getsockopt=1", "getsockopt=92"])
@pytest.mark.parametrize("operation, limit", [
    *itertools.product(["recv+", "recvmmsg", "select", "epoll", "send", "sendfile"], ["RECV", "IDLE", "SEND"]),
    *itertools.product(["select", "epoll"], ["UNACKED"])])
def test_nothing_is_known_of_the_connection(net, silent, operation, limit, what):
    """It is not ended where it may be another one, and waits without a spin."""
    result = net.run([programs.BUILD / "tests/refused", silent, what, operation], patience=2, **{limit: f"{LIMIT}ms"})
    assert result.cut or result.out.startswith(b"-1 "), result


@pytest.mark.parametrize("what", [*DENIED, f"connect={errno.EINTR}"])
def test_connect(net, what):
    """By the limit where the kernel takes it; else as without the library."""
    port = net.open(FullBacklog).port
    try:
        given, error, ms = make(net, port, what, "connect+", CONNECT=f"{LIMIT}ms")
    except AssertionError as failure:
        assert "cut=True" in str(failure) and what.startswith(("setsockopt", "getsockopt"))
    else:
        assert given < 0 and error == ("EINTR" if what.startswith("connect") else "ETIMEDOUT") or error == "ETIMEDOUT", (given, error, ms)


@pytest.mark.parametrize("what", ["nofile", *DENIED, f"futex={errno.EPERM}"])
def test_lookup(net, silent, what):
    net.dns(lambda *_: None)
    given, _, ms = make(net, silent, what, "lookup", RESOLVE="1s")
    assert given < 0 and ms < 2500, (given, ms)
