"""What the program itself does in a handshake is not the peer's silence."""

import ssl

import pytest

from faults import tcp, tls
from tlscalls import TLS, make, parse

LIMIT, CALLBACK = "700ms", "1500"
VERSIONS = pytest.mark.parametrize("version", [{"VERSION": "1.2"}, {}], ids=["1.2", "1.3"])
WAYS = pytest.mark.parametrize("way", ["block", "poll", "select", "epoll", "edge", "sleep"])


def asks_for_a_certificate(connection, stop):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate())
    context.verify_mode = ssl.CERT_OPTIONAL
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.sendall(b"hello")
        stop.wait()


@VERSIONS
@WAYS
@pytest.mark.parametrize("library", ["openssl", "own", "gnutls"])
@pytest.mark.parametrize("more", [{}, {"RECV": LIMIT}], ids=["alone", "RECV"])
def test_a_callback_takes_its_time(net, library, way, version, more):
    server = net.serve(tls.over_tls(tcp.silent))
    (handshake,) = make(net, library, way, server, "handshake", TLS_HANDSHAKE=LIMIT, variables={"SLOW": CALLBACK, **version}, **more)
    handshake.expect_done()
    assert handshake.ms >= int(CALLBACK), handshake


@VERSIONS
@WAYS
def test_a_certificate_that_the_program_looks_for(net, way, version):
    """It leaves the call meanwhile (SSL_ERROR_WANT_X509_LOOKUP)."""
    (handshake,) = make(net, "openssl", way, net.serve(asks_for_a_certificate), "handshake", TLS_HANDSHAKE=LIMIT,
                        variables={"ASK": CALLBACK, **version})
    handshake.expect_done()
    assert handshake.ms >= int(CALLBACK), handshake


def waits_before_it_shakes(connection, stop):
    stop.wait(1.2)
    tls.over_tls(tcp.silent)(connection, stop)


def stalls_after_its_certificate(connection, stop):
    """Up to the middle of a handshake of TLS 1.2, through memory."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = tls.server_context()
    handshake = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(connection.recv(65536))
    try:
        handshake.do_handshake()
    except ssl.SSLWantReadError:
        connection.sendall(outgoing.read())
    tcp.silent(connection, stop)


@pytest.mark.parametrize("way", ["block", "poll", "epoll", "sleep"])
@pytest.mark.parametrize("library", ["openssl", "gnutls"])
def test_the_silence_after_it_counts(net, library, way):
    server = net.serve(stalls_after_its_certificate)
    (handshake,) = make(net, library, way, server, "handshake", TLS_HANDSHAKE=LIMIT, variables={"SLOW": CALLBACK, "VERSION": "1.2"})
    handshake.expect_expired(int(CALLBACK) + 700)


@pytest.mark.parametrize("peer, lines", [(tls.over_tls(tcp.silent), 0), (waits_before_it_shakes, 1)], ids=["callback", "peer"])
def test_what_is_observed(net, peer, lines):
    result = net.run([TLS, "openssl", "block", net.serve(peer).port, "handshake"], TLS_HANDSHAKE=LIMIT, MODE="observe", LOG="stderr",
                     variables={"SLOW": CALLBACK if not lines else "0"})
    assert parse(result)[0].result == 1 and result.err.count(b"SSL_connect") == lines, result
