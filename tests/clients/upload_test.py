"""Clients that send more than the peer takes: to a peer that never reads, and to living ones that read late or slowly."""

import pytest

from bounded import expect_bounded
from clients import TLS_UPLOAD, UPLOAD
from faults import good, tcp, tls

SIZE = 1_000_000

# The peer of each twin below is alive: nothing here may end it.
DEFAULTS = {}
UNRELATED = {"RESOLVE": "1s", "CONNECT": "1s", "TLS_HANDSHAKE": "2s", "TLS_SHUTDOWN": "1s", "UNACKED": "1s"}


@pytest.fixture
def data(tmp_path):
    """A function that opens the data to be sent."""
    file = tmp_path / "data"
    file.write_bytes(b"data " * (SIZE // 5))
    return lambda: file.open("rb")


def uploads(clients, *names):
    return pytest.mark.parametrize("client", [pytest.param(clients[name], id=name) for name in names or clients])


def never_reads(net, behaviour):
    return net.serve(behaviour, receive_buffer=2048).port


@uploads(UPLOAD)
def test_peer_that_never_reads(net, report_time, request, data, client):
    argv = client.argv("127.0.0.1", never_reads(net, tcp.silent))
    expect_bounded(net, report_time, f"upload {request.node.callspec.id}", argv, client.retries, stdin=data)


@uploads(TLS_UPLOAD)
def test_tls_peer_that_never_reads(net, report_time, request, data, client):
    argv = client.argv("127.0.0.1", never_reads(net, tls.over_tls(tcp.silent)))
    expect_bounded(net, report_time, f"TLS upload {request.node.callspec.id}", argv, client.retries, stdin=data)


def expect_uploaded(net, data, argv, **limits):
    result = net.run(argv, stdin=data, **limits)
    assert result.status == 0 and f"took {SIZE}" in result.text, result
    return result


@pytest.mark.parametrize("limits", [DEFAULTS, UNRELATED], ids=["defaults", "unrelated"])
@uploads(UPLOAD, "curl", "python3", "perl")
def test_reader_that_pauses_lives(net, data, client, limits):
    server = net.serve(tcp.pausing(5, good.http()), receive_buffer=2048)
    assert expect_uploaded(net, data, client.argv("127.0.0.1", server.port), **limits).elapsed > 5


@uploads(TLS_UPLOAD)
def test_tls_reader_that_pauses_lives(net, data, client):
    server = net.serve(tls.over_tls(tcp.pausing(5, good.http())), receive_buffer=2048)
    assert expect_uploaded(net, data, client.argv("127.0.0.1", server.port), **UNRELATED).elapsed > 5


@pytest.mark.parametrize("limits", [DEFAULTS, UNRELATED | {"SEND": "1s"}], ids=["defaults", "send"])
@uploads(UPLOAD, "curl", "python3", "wget")
def test_upload_that_crawls_lives(net, data, client, limits):
    server = net.serve(tcp.crawling(60_000, 0.3, good.http()), receive_buffer=30_000)
    assert expect_uploaded(net, data, client.argv("127.0.0.1", server.port), **limits).elapsed > 3
