"""syscall(): the hooked calls by number are bounded, everything else passes as it is."""

import pytest

import programs
from calls import LIMIT, at, make
from faults import tcp

MS = f"{LIMIT}ms"


@pytest.fixture
def silent(net):
    return net.serve(tcp.silent, receive_buffer=2048)


@pytest.mark.musl
@pytest.mark.parametrize("receive", ["sysread", "sysreadv", "syspreadv2", "sysrecvfrom", "sysrecvmsg"])
def test_receive(net, silent, receive):
    first, second = make(net, at(silent), receive, receive, RECV=MS)[1:]
    first.expect_expired()
    second.expect_refused_at_once()


@pytest.mark.musl
@pytest.mark.parametrize("send", ["syswrite", "syswritev", "syspwritev2", "syssendto", "syssendmsg"])
def test_send(net, silent, send):
    first, second = make(net, at(silent), "fill", send, send, SEND=MS)[2:]
    first.expect_expired()
    second.expect_refused_at_once()


@pytest.mark.musl
def test_connect(net, silent):
    make(net, f"sysconnect:{net.blackhole()}:80", CONNECT=MS)[0].expect_expired()
    make(net, at(silent, "sysconnect"), "recv", RECV=MS)[1].expect_expired()


@pytest.mark.musl
@pytest.mark.parametrize("wait", ["sysppoll:in", "syspselect:in", "sysepoll:in"])
def test_wait(net, silent, wait):
    waited, receive = make(net, at(silent), wait, "recv", RECV=MS)[1:]
    assert waited.result == 1 and LIMIT <= waited.ms < LIMIT + 1500, waited
    receive.expect_refused_at_once()


@pytest.mark.musl
def test_wait_tells_what_is_left(net, silent):
    """As the system call does, and the function does not."""
    without, under = (make(net, at(silent), "sysppoll:out:5000", "sysppoll:in:200", library=library, RECV="5s")[1:]
                      for library in (False, True))
    for calls in without, under:
        assert calls[0].more.startswith("left 49") and calls[1].more == "left 0" and 200 <= calls[1].ms < 1200, calls


@pytest.mark.musl
def test_like_libc(net):
    """Six arguments, errors, children, and no cancellation point: the same lines with and without the library."""
    server = net.serve(tcp.after(0.5, tcp.greeting(b"hello")))
    for limits in {}, {"RECV": "5s"}:
        without, under = (net.run([programs.BUILD / "tests/bynumber", server.port], library=library, **limits) for library in (False, True))
        assert without.status == under.status == 0 and without.out == under.out, (without, under)
        assert b"received hello, cancelled after 1" in without.out, without
