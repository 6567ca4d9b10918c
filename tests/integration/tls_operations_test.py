"""Handshakes, reads and closes of OpenSSL and GnuTLS, blocking and under an event loop, against peers that never end them."""

import socket
import threading

import pytest

import programs
from calls import LATEST
from faults import good, tcp, tls
from tlscalls import LIBRARIES, MS, TLS, WAYS, make

libraries = pytest.mark.parametrize("library", LIBRARIES)
ways = pytest.mark.parametrize("way", WAYS)

# A server's handshake record that has begun, and the rest of which comes a byte at a time.
HELLO_BEGINS = b"\x16\x03\x03\x00\xc8\x02\x00\x00\xc4\x03\x03"


def hello_that_drips(connection, stop):
    connection.recv(65536)
    connection.sendall(HELLO_BEGINS)
    for byte in bytes(180):
        connection.sendall(bytes([byte]))
        if stop.wait(0.03):
            return


def plain_of(secure):
    """The socket under a TLS connection, to write to past it."""
    return socket.socket(fileno=socket.dup(secure.fileno()))


def record_that_drips(secure, stop):
    with plain_of(secure) as plain:
        for byte in b"\x17\x03\x03\x40\x00" + bytes(400):
            plain.sendall(bytes([byte]))
            if stop.wait(0.03):
                return


@libraries
@ways
@pytest.mark.parametrize("behaviour", [tcp.silent, hello_that_drips])
def test_handshake(net, library, way, behaviour):
    handshake, *later = make(net, library, way, net.serve(behaviour), "handshake", "handshake", "recv", "send", "bye", TLS_HANDSHAKE=MS)
    handshake.expect_expired()
    for call in later:
        call.expect_refused_at_once()


@ways
@pytest.mark.parametrize("behaviour", [tcp.silent, hello_that_drips])
def test_handshake_through_a_transport_of_the_programs_own(net, way, behaviour):
    """As libcurl's and OpenLDAP's: OpenSSL knows no descriptor. What follows is refused by the socket calls."""
    handshake, send = make(net, "own", way, net.serve(behaviour), "handshake", "send", TLS_HANDSHAKE=MS)
    handshake.expect_expired()
    assert send.result < 0 and send.ms < 100, send


@pytest.mark.parametrize("library, limit, steps", [
    ("openssl", "TLS_HANDSHAKE", ["handshake"]), ("gnutls", "TLS_HANDSHAKE", ["handshake"]),
    ("openssl", "TLS_SHUTDOWN", ["handshake", "shutdown", "bye"]), ("gnutls", "TLS_SHUTDOWN", ["handshake", "bye"]),
])
def test_recv_of_the_same_length_is_not_named(net, library, limit, steps):
    """The kernel's timer of RECV, which has the same length, does not end the handshake or the shutdown."""
    server = net.serve(tls.over_tls(tcp.silent) if "bye" in steps else tcp.silent)
    result = net.run([TLS, library, "block", server.port, *steps], patience=12, LOG="stderr", RECV=MS, **{limit: MS})
    assert f" limit={limit} ".encode() in result.err and b"limit=RECV" not in result.err, result


@ways
def test_close_through_a_transport_of_the_programs_own(net, way):
    *_, bye = make(net, "own", way, net.serve(tls.over_tls(tcp.silent)), "handshake", "shutdown", "bye", TLS_SHUTDOWN=MS)
    bye.expect_expired()


@pytest.mark.parametrize("behaviour", [tcp.silent, hello_that_drips])
def test_handshake_that_connects_by_itself(net, behaviour):
    make(net, "connecting", "block", net.serve(behaviour), "handshake", TLS_HANDSHAKE=MS)[0].expect_expired()


@pytest.mark.parametrize("step", ["handshake", "recv"])
def test_a_transport_that_reads_once_more_hides_no_error(net, step):
    """BIO_f_buffer gives what it has where its read fails, and OpenSSL asks again."""
    behaviour = hello_that_drips if step == "handshake" else tls.drips_record(b"x" * 100, asked=False)
    *_, last = make(net, "buffered", "block", net.serve(behaviour), *["handshake", "recv"][:1 if step == "handshake" else 2],
                    RECV=MS, TLS_HANDSHAKE=MS)
    last.expect_expired()


@pytest.mark.parametrize("library", [*LIBRARIES, "own", "connecting"])
@ways
def test_nothing_is_ended_that_goes_well(net, library, way):
    """The whole of it takes longer than any limit; no part of it does. A read has none."""
    if library == "connecting" and way != "block":
        pytest.skip("its descriptor is its own affair")
    server = net.serve(tls.over_tls(tcp.after(0.6, good.saying(b"hello"))))
    calls = make(net, library, way, server, "handshake", "pause", "send", "recv", "bye",
                 TLS_HANDSHAKE="400ms", TLS_SHUTDOWN="400ms")
    assert [call.result for call in calls if call.name in ("send", "recv")] == [5, 5], calls
    for call in calls[:1] + calls[2:4]:
        call.expect_done()


@pytest.mark.parametrize("step", ["recv", "send"])
@ways
def test_handshake_hidden_in_a_read_or_write(net, step, way):
    """OpenSSL's first read or write makes the handshake, under its limit and not the read's."""
    first, later = make(net, "openssl", way, net.serve(hello_that_drips), step, step, TLS_HANDSHAKE=MS)
    first.expect_expired()
    later.expect_refused_at_once()


@ways
def test_the_wait_after_a_hidden_handshake_is_not_the_handshakes(net, way):
    server = net.serve(tls.over_tls(tcp.after(1, good.saying(b"hello"))))
    (first,) = make(net, "openssl", way, server, "recv", TLS_HANDSHAKE="600ms")
    assert first.result == 5 and first.ms > 900, first


@libraries
def test_read_of_a_record_that_drips(net, library):
    handshake, read, again, send = make(net, library, "block", net.serve(tls.over_tls(record_that_drips)), "handshake", "recv",
                                        "recv", "send", RECV="800ms")
    handshake.expect_done()
    read.expect_expired(800)
    again.expect_refused_at_once()
    send.expect_refused_at_once()


@libraries
@pytest.mark.parametrize("way", ["block", "poll", "select", "epoll"])
def test_read_of_nothing(net, library, way):
    _, read, again = make(net, library, way, net.serve(tls.over_tls(tcp.silent)), "handshake", "recv", "recv", RECV=MS)
    read.expect_expired()
    again.expect_refused_at_once()


@libraries
@ways
def test_close_that_is_never_answered(net, library, way):
    """OpenSSL's second SSL_shutdown waits for the peer's close_notify; GnuTLS's only one does."""
    steps = ["shutdown", "bye"] if library == "openssl" else ["bye"]
    *_, bye, again = make(net, library, way, net.serve(tls.over_tls(tcp.silent)), "handshake", *steps, "bye", TLS_SHUTDOWN=MS)
    bye.expect_expired()
    again.expect_refused_at_once()


@libraries
def test_close_after_an_upload_that_nobody_reads(net, library):
    server = net.serve(tls.over_tls(tcp.silent), receive_buffer=2048)
    uploads = ["upload"] * 700
    calls = make(net, library, "block", server, "handshake", *uploads, "shutdown", "shutdown", SEND=MS, TLS_SHUTDOWN=MS)
    first = next(call for call in calls if call.result < 0)
    first.expect_expired()
    for call in calls[calls.index(first) + 1:]:
        call.expect_refused_at_once()


def test_bytes_that_lie_in_the_library_are_not_given_after_an_expiry(net):
    """Two answers in one record, of which a part was read: the rest must not be taken for the answer to the next question."""
    server = net.serve(tls.over_tls(lambda secure, stop: (secure.sendall(bytes(1500)), stop.wait())), receive_buffer=2048)
    _, first, pending, *uploads, left, peek = make(net, "openssl", "block", server, "handshake", "recv", "pending",
                                                   *["upload"] * 8, "recv", "peek", SEND=MS)
    assert first.result == 1000 and pending.result == 500
    next(call for call in uploads if call.result < 0).expect_expired()
    left.expect_refused_at_once()
    peek.expect_refused_at_once()


def test_gnutls_may_poll_before_it_reads(net):
    (handshake,) = make(net, "gnutls", "block", net.serve(hello_that_drips), "handshake", TLS_HANDSHAKE=MS, variables={"TIMEOUT": "9000"})
    handshake.expect_expired()


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a jump out of an instrumented frame leaves its stack poisoned")
@libraries
def test_a_scope_left_by_a_jump_does_not_bound_what_comes_after(net, library):
    """The handler's jump leaves the handshake; the program then reads the descriptor itself, for longer than the limit."""
    server = net.serve(lambda connection, stop: (stop.wait(1.2), connection.sendall(b"plain")))
    (leave,) = make(net, library, "block", server, "leave", TLS_HANDSHAKE="500ms")
    assert leave.result == 5 and leave.ms > 1000, leave


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a jump out of an instrumented frame leaves its stack poisoned")
@libraries
def test_a_read_left_by_a_jump_does_not_bound_what_comes_after(net, library):
    """The same of a read on a connection that stands: what is read then are records as they are."""
    say = threading.Event()

    def behaviour(secure, stop):
        secure.sendall(b"hello")
        say.wait(5)
        secure.sendall(b"later")
        stop.wait()

    threading.Timer(2, say.set).start()
    *_, leave = make(net, library, "block", net.serve(tls.over_tls(behaviour)), "handshake", "recv", "leave-recv",
                     TLS_HANDSHAKE="500ms")
    assert leave.result > 5 and leave.meaning == "", leave


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a jump out of an instrumented frame leaves its stack poisoned")
@libraries
@pytest.mark.parametrize("limits", [{}, {"RECV": "500ms"}], ids=["defaults", "recv"])
def test_calls_after_a_read_left_by_a_jump_are_as_ever(net, library, limits):
    """They succeed while the other side speaks, and are bounded where it does not."""
    def behaviour(secure, stop):
        secure.sendall(b"hello")
        for _ in range(2):
            secure.recv(5)
            secure.sendall(b"hello")
        stop.wait()

    steps = ["handshake", "recv", "jump", "send", "recv", "jump", "send", "recv"]
    *calls, last = make(net, library, "block", net.serve(tls.over_tls(behaviour)), *steps, *(["recv"] if limits else []), **limits)
    assert all(call.result > 0 for call in calls if call.name != "handshake"), calls
    last.expect_expired(500) if limits else last.expect_done()


@pytest.mark.skipif("tsan" in programs.RUNTIME, reason="it keeps a cancelled thread")
@libraries
def test_a_cancelled_handshake_leaves_nothing_behind(net, library):
    cancel, recv = make(net, library, "block", net.serve(tcp.silent), "cancel", "handshake", TLS_HANDSHAKE="600ms")
    assert cancel.result == 1 and cancel.ms < 400, cancel
    assert recv.result < 0 and recv.ms < 600 + LATEST, recv


@libraries
def test_a_signal_handler_has_no_part_in_the_limit(net, library):
    """It asks another server, which takes longer than what is left of the handshake."""
    server = net.serve(lambda connection, stop: (stop.wait(1), connection.sendall(b"x"), stop.wait()))
    handshake, asked = make(net, library, "block", server, "handler", "asked", TLS_HANDSHAKE="500ms")
    assert handshake.result < 0 and asked.meaning == "waited" and asked.result == 1, (handshake, asked)


def test_a_verify_callback_has_no_part_in_the_limit(net):
    def behaviour(connection, stop):
        first = connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) if not stop.wait(0.2) else b""
        tls.over_tls(good.saying(b"hello"))(connection, stop) if first else None

    def either(connection, stop):
        try:
            behaviour(connection, stop)
        except BlockingIOError:  # the callback's own connection, which asks nothing
            stop.wait(0.8)
            connection.sendall(b"x")
            stop.wait()

    handshake, asked = make(net, "openssl", "block", net.serve(either), "handshake", "asked", TLS_HANDSHAKE="1100ms",
                            variables={"VERIFY": "1"})
    assert asked.meaning == "waited" and asked.result == 1, (handshake, asked)


@libraries
@pytest.mark.parametrize("way", ["block", "poll", "epoll"])
def test_observing_ends_nothing(net, library, way):
    server = net.serve(tcp.after(0.8, tls.over_tls(good.saying(b"hello"))))
    handshake, recv = make(net, library, way, server, "handshake", "recv", MODE="observe", TLS_HANDSHAKE=MS)
    handshake.expect_done()
    assert recv.result == 5 and handshake.ms > 700
