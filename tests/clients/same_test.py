"""Without a fault nothing differs: output, exit status and what the server is asked are byte for byte the same."""

import getpass
import os
import re

import pytest

from clients import PLAIN, SSH, TLS, TLS_UPLOAD, UPLOAD
from faults import good, tcp, tls
from programs import PYTHON

# Limits that are set, and never reached here.
LONG = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], "20s")

HEALTHY = [pytest.param(client, id=f"{kind}-{name}") for kind, clients in [("plain", PLAIN), ("tls", TLS)]
           for name, client in clients.items() if client.healthy]


def timeless(text):
    """Without the times and speeds that wget tells, and its line of progress."""
    return re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\([\d.,]+ .?B/s\)|.*\d%.*", b"", text)


def expect_same(net, argv, **how):
    """Runs `argv` without the library, with it, and with limits, and gives the first run."""
    without = net.run(argv, library=False, **how)
    assert without.status == 0 and without.out, without
    for limits in [{}, LONG]:
        result = net.run(argv, **how, **limits)
        assert (result.status, result.out, timeless(result.err)) == (without.status, without.out, timeless(without.err))
    return without


@pytest.mark.parametrize("client", HEALTHY)
def test_healthy_server(net, client):
    names = net.names({"host.test": ["127.0.0.1"]})
    server = net.serve(client.healthy)
    expect_same(net, client.argv("host.test", server.port))
    assert names.questions and server.accepted >= 3


@pytest.mark.parametrize("name", ["curl", "wget", "python3-urllib", "php", "ruby"])
def test_the_server_is_asked_the_same(net, name):
    requests = []
    server = net.serve(good.http(requests=requests))
    expect_same(net, PLAIN[name].argv("127.0.0.1", server.port))
    assert len(requests) == 3 and requests[0] == requests[1] == requests[2]


@pytest.mark.parametrize("clients, name", [(UPLOAD, name) for name in UPLOAD] + [(TLS_UPLOAD, name) for name in TLS_UPLOAD])
def test_upload(net, tmp_path, clients, name):
    data = tmp_path / "data"
    data.write_bytes(os.urandom(1000) * 300)
    requests = []
    behaviour = good.http(requests=requests)
    server = net.serve(good.redis if name == "redis-cli" else tls.over_tls(behaviour) if clients is TLS_UPLOAD else behaviour)
    expect_same(net, clients[name].argv("127.0.0.1", server.port), stdin=lambda: data.open("rb"))
    assert all(request == requests[0] for request in requests)


@pytest.mark.parametrize("name", ["host.test", "both.test", "localhost", "127.0.0.1", "::1"])
def test_getent(net, name):
    net.names({"host.test": ["192.0.2.7"], "both.test": ["192.0.2.8", "2001:db8::8"]})
    expect_same(net, ["getent", "ahosts", name])


def test_getent_of_no_name(net):
    net.names({})
    argv = ["getent", "ahosts", "nothing.test"]
    assert net.run(argv, library=False).status == net.run(argv).status == 2


def test_openssl_shows_the_same_certificate(net):
    server = net.serve(tls.over_tls(good.http()))
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-brief"]
    results = [net.run(argv, library=library) for library in (False, True)]
    assert results[0].status == results[1].status == 0
    assert results[0].err == results[1].err and b"CONNECTION ESTABLISHED" in results[0].err


def test_ssh(net, tmp_path):
    """A session on a real server, which runs under the library too."""
    ssh = tmp_path / ".ssh"
    ssh.mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    net.run(["dropbearkey", "-t", "ed25519", "-f", tmp_path / "host"], library=False)
    net.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / "key"], library=False)
    (ssh / "key.pub").rename(ssh / "authorized_keys")
    net.cover("/etc/passwd", f"{getpass.getuser()}:x:{os.getuid()}:{os.getgid()}::{tmp_path}:/bin/sh\n")
    net.start(["/usr/sbin/dropbear", "-F", "-E", "-s", "-p", "127.0.0.1:22", "-P", tmp_path / "pid", "-r", tmp_path / "host"])
    argv = [*SSH, "-i", ssh / "key", "-o", "ConnectionAttempts=10", "127.0.0.1", "echo hello; echo oops >&2; exit 0"]
    assert expect_same(net, argv).out == b"hello\n"


OWN_TIMEOUTS = {
    "curl": ["curl", "-q", "-sS", "-m", "1"],
    "curl-connect": ["curl", "-q", "-sS", "--connect-timeout", "1"],
    "wget": ["wget", "--tries=1", "-T", "1", "-q", "-O-"],
    "php": ["php", "-n", "-d", "default_socket_timeout=1", "-r", "echo (int) @file_get_contents($argv[1]);"],
    "python3": [PYTHON, "-c", "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=1)"],
}


@pytest.mark.parametrize("name", OWN_TIMEOUTS)
def test_own_timeouts(net, name):
    """A program's own timeout, shorter than ours, fires as ever and is told as ever."""
    url = f"http://{net.blackhole()}/" if name == "curl-connect" else f"http://127.0.0.1:{net.serve(tcp.silent).port}/"
    runs = [net.run([*OWN_TIMEOUTS[name], url], library=library, **LONG) for library in (False, True)]
    told = [(run.status, run.out, re.sub(rb"\d+ m(illi)?s", b"", run.err)) for run in runs]
    assert told[0] == told[1] and all(1 <= run.elapsed < 4 for run in runs), runs
