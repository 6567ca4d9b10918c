"""Whole TLS operations: one absolute deadline, however many bytes drip in, and what the program sees when it fires."""

import pytest

import programs
from calls import LATEST, LIMIT
from faults import good, tcp, tls

MS = f"{LIMIT}ms"

# Makes the calls named in argv on one TLS connection to argv[1]; prints for each: name, result or error, milliseconds.
TLS_CALLS = """
import ssl
port, *steps = sys.argv[1:]
context = ssl._create_unverified_context()
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
plain = dial()
secure = context.wrap_socket(plain, do_handshake_on_connect=False, suppress_ragged_eofs=False)
calls = {
    "handshake": lambda: secure.do_handshake(),
    "recv": lambda: secure.recv(1000),
    "send": lambda: secure.send(b"hello"),
    "sendall": lambda: secure.sendall(bytes(10_000_000)),
    "unwrap": lambda: secure.unwrap().close(),
    "pause": lambda: time.sleep(1),
}
for step in steps:
    began = time.monotonic()
    try:
        result = calls[step]()
    except OSError as error:
        result = type(error).__name__ + " " + str(error.errno)
    print(step, (time.monotonic() - began) * 1000, result, sep="|", flush=True)
"""


def calls(net, server, *steps, **limits):
    result = net.run(programs.child(TLS_CALLS, server.port, *steps), patience=12, **limits)
    assert result.status == 0, result
    return [(float(ms), told) for _, ms, told in (line.split("|") for line in result.out.decode().splitlines())]


def expect_expired(call, limit=LIMIT):
    ms, told = call
    assert "Error" in told and "EOF" not in told and "WantRead" not in told and "WantWrite" not in told, told
    assert limit - 1 <= ms < limit + LATEST, call


def expect_refused_at_once(call):
    assert "Error" in call[1] and call[0] < LIMIT / 2, call


def hello_that_drips(connection, stop):
    """A handshake record of 200 bytes that arrives a byte at a time: there is progress, but no end."""
    connection.recv(65536)
    for byte in b"\x16\x03\x03\x00\xc8\x02\x00\x00\xc4" + bytes(191):
        connection.sendall(bytes([byte]))
        if stop.wait(0.05):
            return


@pytest.mark.parametrize("behaviour", [tcp.silent, hello_that_drips])
def test_handshake(net, report_time, behaviour):
    handshake, receive = calls(net, net.serve(behaviour), "handshake", "recv", TLS_HANDSHAKE=MS)
    expect_expired(handshake)
    assert handshake[1] == "TimeoutError 110"
    report_time(f"TLS handshake {MS} {behaviour.__name__}", handshake[0] / 1000)


def test_handshake_is_not_bounded_by_recv(net):
    server = net.serve(tcp.after(1, tls.over_tls(good.saying(b"hello"))))
    handshake, receive = calls(net, server, "handshake", "recv", RECV="500ms")
    assert handshake[1] == "None" and handshake[0] > 900 and "hello" in receive[1]


def test_receive(net, report_time):
    handshake, first, second, send = calls(net, net.serve(tls.over_tls(tcp.silent)), "handshake", "recv", "recv", "send", RECV=MS)
    assert handshake[1] == "None"
    expect_expired(first)
    expect_refused_at_once(second)
    expect_refused_at_once(send)
    report_time(f"TLS recv {MS}", first[0] / 1000)


def test_receive_of_a_record_that_drips(net):
    """Bytes of the record keep coming, so that no single read is silent for long; the whole has its limit."""

    def behaviour(secure, stop):
        plain = tcp.socket.socket(fileno=tcp.socket.dup(secure.fileno()))
        with plain:
            for byte in b"\x17\x03\x03\x40\x00" + bytes(200):
                plain.sendall(bytes([byte]))
                if stop.wait(0.05):
                    return

    receive = calls(net, net.serve(tls.over_tls(behaviour)), "handshake", "pause", "recv", RECV="1s")[2]
    expect_expired(receive, 1000)


def test_send(net, report_time):
    server = net.serve(tls.over_tls(tcp.silent), receive_buffer=2048)
    handshake, first, second = calls(net, server, "handshake", "sendall", "send", SEND=MS)
    expect_expired(first)
    expect_refused_at_once(second)
    report_time(f"TLS sendall {MS}", first[0] / 1000)


def test_shutdown(net, report_time):
    """The peer never says goodbye."""
    handshake, shutdown, again = calls(net, net.serve(tls.over_tls(tcp.silent)), "handshake", "unwrap", "unwrap", TLS_SHUTDOWN=MS)
    expect_expired(shutdown)
    assert shutdown[1] == "TimeoutError 110"
    expect_refused_at_once(again)
    report_time(f"TLS shutdown {MS}", shutdown[0] / 1000)


def test_shutdown_has_its_own_limit(net):
    """RECV is shorter, and not what bounds the goodbye; a peer that takes a second for it is waited for."""

    def behaviour(secure, stop):
        stop.wait(1)

    shutdown = calls(net, net.serve(tls.over_tls(behaviour)), "handshake", "unwrap", RECV=MS, SEND=MS)[1]
    assert shutdown[1] == "None" and shutdown[0] > 800, shutdown


def test_own_shorter_timeout_is_the_programs(net):
    """Python's settimeout makes the socket non-blocking and polls: its own error, at its own time."""
    code = """
plain = dial()
plain.settimeout(5)
secure = tls(plain)
secure.settimeout(0.2)
for _ in range(3):
    try: secure.recv(10)
    except TimeoutError as error: print(error.errno, secure.send(b"x"))
"""
    result = net.run(programs.child(code, net.serve(tls.over_tls(tcp.silent)).port), RECV="1s", TLS_HANDSHAKE="5s")
    assert result.out == b"None 1\n" * 3, result


def test_server_side(net):
    """An accepted TLS connection has the inbound limits: its handshake is bounded only where the operator asks."""
    context = f"""
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain({tls.certificate()!r})
client, plain = tcp_pair()
threading.Timer(1, client.shutdown, [socket.SHUT_WR]).start()
tell(timed(lambda: error(lambda: context.wrap_socket(plain, server_side=True)))[1])
"""
    for limits, least, most in [({"TLS_HANDSHAKE": MS}, 0.95, 9), ({"INBOUND_TLS_HANDSHAKE": MS}, LIMIT / 1000 - 0.001, 0.9)]:
        took = net.told(context, **limits)
        assert least <= took < most, (limits, took)
