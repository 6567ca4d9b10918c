"""Each client on each fault that can hang it, with limits of 1 s."""

import pytest

from bounded import expect_bounded
from clients import PLAIN, TLS, TLS_CLOSE
from faults import FullBacklog, dns, tcp, tls

NAME = "host.test"


def silent_names(net, _client):
    net.dns(dns.silent)
    return NAME, 8080


def truncated_names(net, _client):
    net.dns(dns.truncating, dns.silent)
    return NAME, 8080


def dropped_syns(net, _client):
    return net.blackhole(), 8080


def full_backlog(net, _client):
    return "127.0.0.1", net.open(FullBacklog).port


def silent(net, _client):
    return "127.0.0.1", net.serve(tcp.silent).port


def part(net, client):
    return "127.0.0.1", net.serve(client.part).port


def stalled_after_handshake(net, _client):
    return "127.0.0.1", net.serve(tls.over_tls(tcp.silent)).port


PLAIN_FAULTS = [silent_names, truncated_names, dropped_syns, full_backlog, silent, part]
# `silent` is a peer that never answers the handshake here.
TLS_FAULTS = [silent, stalled_after_handshake, part]
NAME_FAULTS = [silent_names, truncated_names]


def matrix(clients, faults):
    return [pytest.param(client, fault, id=f"{name}-{fault.__name__}") for name, client in clients.items() for fault in faults]


@pytest.mark.parametrize("client, fault", matrix(PLAIN, PLAIN_FAULTS))
def test_plain(net, report_time, request, client, fault):
    host, port = fault(net, client)
    expect_bounded(net, report_time, request.node.callspec.id, client.argv(host, port), client.retries)


@pytest.mark.parametrize("client, fault", matrix(TLS, TLS_FAULTS))
def test_tls(net, report_time, request, client, fault):
    host, port = fault(net, client)
    expect_bounded(net, report_time, request.node.callspec.id, client.argv(host, port), client.retries)


@pytest.mark.parametrize("fault", NAME_FAULTS)
def test_getent(net, report_time, fault):
    host, _ = fault(net, None)
    expect_bounded(net, report_time, f"getent-{fault.__name__}", ["getent", "ahosts", host], says="")  # its way


@pytest.mark.parametrize("name", TLS_CLOSE)
def test_close(net, report_time, name):
    """The peer never answers the close."""
    server = net.serve(tls.never_closes(tcp.echo))
    expect_bounded(net, report_time, f"TLS close {name}", TLS_CLOSE[name].argv("127.0.0.1", server.port))
