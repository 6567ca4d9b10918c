"""The living twins of the faults: servers that are slow, late, paused or out of reach for a while, and must not be cut."""

import signal
import threading
import time

import pytest

from clients import PLAIN, TLS
from faults import dns, good, tcp, tls

DEFAULTS = {}
# All that has nothing to do with waiting for an answer.
UNRELATED = {"RESOLVE": "1s", "CONNECT": "1s", "TLS_HANDSHAKE": "2s", "TLS_SHUTDOWN": "1s", "UNACKED": "1s", "SEND": "1s"}
BOTH = pytest.mark.parametrize("limits", [DEFAULTS, UNRELATED], ids=["defaults", "unrelated"])


def expect_alive(net, argv, at_least, **limits):
    result = net.run(argv, **limits)
    assert not result.cut and result.status == 0, result
    assert result.elapsed >= at_least
    return result


@BOTH
@pytest.mark.parametrize("name", ["curl", "wget", "python3-urllib", "python3-socket", "perl-inet", "php", "ruby"])
def test_late_answer(net, name, limits):
    server = net.serve(tcp.late_answer(3, good.http_response()))
    assert b"hello" in expect_alive(net, PLAIN[name].argv("127.0.0.1", server.port), 3, **limits).out


@BOTH
@pytest.mark.parametrize("name", ["curl", "wget", "python3-ssl", "perl-ssl"])
def test_late_answer_over_tls(net, name, limits):
    server = net.serve(tls.over_tls(tcp.late_answer(3, good.http_response())))
    assert b"hello" in expect_alive(net, TLS[name].argv("127.0.0.1", server.port), 3, **limits).out


@pytest.mark.parametrize("limits", [UNRELATED, {"RECV": "6s"}], ids=["unrelated", "longer"])
def test_late_query(net, limits):
    server = net.serve(good.postgres(delay=3))
    assert b"1\n" == expect_alive(net, PLAIN["psql"].argv("127.0.0.1", server.port), 3, **limits).out


@pytest.mark.parametrize("name", ["curl", "python3-ssl"])
def test_late_handshake(net, name):
    """RECV is not the limit of a handshake."""
    server = net.serve(tcp.after(2, tls.over_tls(good.http())))
    expect_alive(net, TLS[name].argv("127.0.0.1", server.port), 2, CONNECT="1s", RESOLVE="1s", UNACKED="1s", SEND="1s")


@pytest.mark.parametrize("name", ["curl", "wget", "python3-urllib", "php"])
def test_answer_that_drips(net, name):
    """Bytes move: a limit on silence that is longer than each pause does not fire, however long the whole lasts."""
    response = good.http_response(b"hello")
    server = net.serve(tcp.drip(response[-5:], 0.7, head=response[:-5]))
    assert b"hello" in expect_alive(net, PLAIN[name].argv("127.0.0.1", server.port), 3, RECV="1500ms").out


@BOTH
@pytest.mark.parametrize("name", ["curl", "python3-socket", "redis-cli"])
def test_stopped_server(net, name, limits):
    """A peer that is stopped acknowledges everything and says nothing."""
    server, port = net.fault_server("redis" if name == "redis-cli" else "http")
    server.signal(signal.SIGSTOP)
    timer = threading.Timer(3, server.signal, [signal.SIGCONT])
    timer.start()
    expect_alive(net, PLAIN[name].argv("127.0.0.1", port), 2.5, **limits)
    timer.join()


@pytest.mark.parametrize("limits", [DEFAULTS, {"CONNECT": "1s", "RECV": "1s", "SEND": "1s", "RESOLVE": "4s"}],
                         ids=["defaults", "unrelated"])
@pytest.mark.parametrize("name", ["curl", "python3-socket", "wget"])
def test_late_name_server(net, name, limits):
    net.dns(dns.late(2, dns.answering(dns.Zone({"host.test": ["127.0.0.1"]}))))
    server = net.serve(good.http())
    expect_alive(net, PLAIN[name].argv("host.test", server.port), 2, **limits)


@BOTH
def test_name_server_that_lies_first(net, limits):
    net.dns(dns.wrong_ids(then=dns.answering(dns.Zone({"host.test": ["127.0.0.1"]}))))
    server = net.serve(good.http())
    expect_alive(net, PLAIN["curl"].argv("host.test", server.port), 0, **limits)


@pytest.mark.parametrize("limits", [DEFAULTS, {"RESOLVE": "2s"}], ids=["defaults", "short"])
@pytest.mark.parametrize("name", ["curl", "python3-socket"])
def test_first_name_server_dead(net, name, limits):
    net.etc("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
    net.dns(dns.silent)
    net.names({"host.test": ["127.0.0.1"]}, host="127.0.0.2")
    server = net.serve(good.http())
    expect_alive(net, PLAIN[name].argv("host.test", server.port), 0, **limits)


def test_first_address_dead(net):
    """A host's second address is tried when the first one's connect is given up."""
    net.names({"host.test": [net.blackhole(), "127.0.0.1"]})
    server = net.serve(good.http())
    expect_alive(net, PLAIN["python3-socket"].argv("host.test", server.port), 0, CONNECT="1s")


@pytest.mark.parametrize("limits", [DEFAULTS, {"RESOLVE": "1s", "RECV": "1s", "SEND": "1s", "UNACKED": "1s"}],
                         ids=["defaults", "unrelated"])
@pytest.mark.parametrize("name", ["curl", "python3-socket", "php"])
def test_late_connect(net, name, limits):
    """The first SYN is lost; the kernel sends the next one after a second."""
    server = net.serve(good.http())
    net.drop(f"tcp dport {server.port}")
    threading.Thread(target=lambda: (time.sleep(0.7), net.undrop())).start()
    expect_alive(net, PLAIN[name].argv("127.0.0.1", server.port), 0.7, **limits)
