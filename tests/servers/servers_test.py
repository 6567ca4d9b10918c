"""Real servers under the library, with a long mixed load: their answers are those that they give without it, and nothing is
ended. What waits longest is idle for longer than the limits that do not count idleness."""

import getpass
import os
import pathlib
import re
import shutil
import tempfile
import time

import pytest

import programs
from faults import tcp, tls

# Off is what accepted connections have by default. The second set is in force for all sides, and the load outlasts it.
SHORT, LONG = "3s", "30s"
LIMITS = [{"library": False}, {}, {f"{side}{name}": LONG if name == "RECV" else SHORT for side in ("", "INBOUND_")
                                   for name in ("RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN")}]
EACH = pytest.mark.parametrize("limits", LIMITS, ids=["without", "defaults", "limits"])

pytestmark = pytest.mark.skipif(bool(programs.RUNTIME), reason="other people's servers under a sanitizer's runtime")


def needs(*names):
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"{name} is missing")


def wait_for(net, port):
    """Until something listens on 127.0.0.1:`port` there."""
    for _ in range(200):
        if net.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], library=False).status == 0:
            return
        time.sleep(0.05)
    pytest.fail(f"nothing listens on {port}")


def expect(net, argv, **how):
    result = net.run(argv, patience=60, **how)
    assert result.status == 0 and not result.cut, result
    return result.out.decode()


def still_running(server):
    assert server.running, server.finish()


NGINX = """
daemon off; master_process on; worker_processes 2; pid %(dir)s/pid; error_log %(dir)s/error error; user root;
events { worker_connections 1024; }
http {
    access_log off; client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/f;
    uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s; sendfile on; keepalive_timeout 60;
    upstream behind { server 127.0.0.1:8080; keepalive 8; }
    server {
        listen 8080; listen 8443 ssl; ssl_certificate %(pem)s; ssl_certificate_key %(pem)s; root %(dir)s/root;
        location /proxied/ { proxy_pass http://behind/; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
"""


@pytest.fixture
def nginx(net, tmp_path):
    def start(**limits):
        needs("nginx", "wrk")
        (tmp_path / "root").mkdir()
        (tmp_path / "root/small").write_text("hello\n")
        (tmp_path / "root/large").write_bytes(os.urandom(3_000_000))
        (tmp_path / "conf").write_text(NGINX % {"dir": tmp_path, "pem": tls.certificate()})
        for directory in (tmp_path, *list(tmp_path.parents)[:2]):
            directory.chmod(0o755)
        server = net.start(["nginx", "-c", tmp_path / "conf", "-e", tmp_path / "error"], **limits)
        wait_for(net, 8080)
        return server

    return start


@EACH
def test_nginx(net, tmp_path, nginx, limits):
    server = nginx(**limits)
    large = (tmp_path / "root/large").read_bytes()
    idle = net.start([programs.PYTHON, "-c", IDLE, "8080"], library=False)
    loads = [net.start(["wrk", "-t1", "-c8", "-d4", url], library=False) for url in
             ("http://127.0.0.1:8080/small", "http://127.0.0.1:8080/proxied/small", "https://127.0.0.1:8443/small")]
    for url in ("http://127.0.0.1:8080/large", "https://127.0.0.1:8443/large", "http://127.0.0.1:8080/proxied/large"):
        slow = net.run(["curl", "-q", "-sS", "-k", "--limit-rate", "1500k", url], library=False)
        assert slow.status == 0 and slow.out == large, (slow.status, len(slow.out), slow.err)
    for load in loads:
        told = load.finish().out.decode()
        assert int(re.search(r"(\d+) requests in", told)[1]) > 50
        assert "Socket errors" not in told and "Non-2xx" not in told, told
    assert idle.finish().out == b"same connection\n"
    still_running(server)
    assert not (tmp_path / "error").read_text()


IDLE = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/small")
first = connection.sock, connection.getresponse().read()
time.sleep(4)
connection.request("GET", "/small")
connection.getresponse().read()
print("same connection" if connection.sock is first[0] else "another")
"""


@EACH
def test_redis(net, tmp_path, limits):
    """With persistence, a replica, subscribers that wait and blocking pops."""
    needs("redis-server", "redis-benchmark")
    servers = [net.start(["redis-server", "--port", port, "--dir", tmp_path, "--dbfilename", f"{port}.rdb", "--save", "", *more], **limits)
               for port, more in ((6379, []), (6380, ["--replicaof", "127.0.0.1", "6379"]))]
    wait_for(net, 6380)
    waiting = net.start(["redis-cli", "BLPOP", "late", "0"], library=False)
    load = expect(net, ["redis-benchmark", "-q", "-n", "5000", "-c", "30", "-t", "set,get,lpush,mset", "-d", "2000", "--csv"], library=False)
    assert len(load.splitlines()) == 5
    assert expect(net, ["redis-cli", "--pipe"], library=False, stdin=lambda: pipe_of(tmp_path, 5000)).endswith("replies: 5000\n")
    time.sleep(4 - min(4, time.monotonic() - waiting.started))
    expect(net, ["redis-cli", "RPUSH", "late", "hello"], library=False)
    assert waiting.finish().out == b"late\nhello\n"
    for _ in range(300):  # until then it has no such key, or says that it is loading
        copied = expect(net, ["redis-cli", "-p", "6380", "GET", "key:4999"], library=False)
        if copied == "hello\n":
            break
        time.sleep(0.1)
    assert copied == "hello\n"
    for server in servers:
        still_running(server)


def pipe_of(directory, count):
    file = directory / "commands"
    file.write_text("".join(f"SET key:{i} hello\r\n" for i in range(count)))
    return file.open("rb")


@EACH
def test_postgres(net, request, limits):
    """pgbench over TCP, with a connection that idles in between."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found or not shutil.which("pgbench", path=found[-1].parent):
        pytest.skip("postgresql is missing")
    binary = found[-1].parent
    data = tempfile.mkdtemp(prefix="netdeadline-postgres-")
    request.addfinalizer(lambda: shutil.rmtree(data))
    shutil.chown(data, "postgres")
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    expect(net, [*as_postgres, f"{binary}/initdb", "-D", data, "-A", "trust", "--no-sync"], library=False)
    server = net.start([*as_postgres, f"{binary}/postgres", "-D", data, "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"], **limits)
    user = {"library": False, "variables": {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGSSLMODE": "disable"}}
    wait_for(net, 5432)
    for _ in range(100):
        if net.run(["psql", "-X", "-c", "select 1"], **user).status == 0:
            break
        time.sleep(0.1)
    expect(net, [f"{binary}/pgbench", "-i", "-q", "postgres"], **user)
    idle = net.start(["psql", "-X", "-At", "-c", "select 1", "-c", "select pg_sleep(4)", "-c", "select 2"], **user)
    told = expect(net, [f"{binary}/pgbench", "-T", "4", "-c", "4", "-R", "300", "postgres"], **user)
    assert "number of failed transactions: 0" in told and int(re.search(r"actually processed: (\d+)", told)[1]) > 100
    copied = expect(net, ["psql", "-X", "-At", "-c", "copy (select generate_series(1, 300000)) to stdout"], **user)
    assert copied.splitlines() == [str(i) for i in range(1, 300001)]
    assert idle.finish().out.split() == [b"1", b"2"]
    still_running(server)


@EACH
def test_sshd(net, tmp_path, limits):
    """Its children put themselves under a seccomp filter before the login: nothing may be called then that it kills for."""
    needs("/usr/sbin/sshd", "ssh")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    for directory in (home, tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)
    for key in (tmp_path / "host", tmp_path / "key"):
        expect(net, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], library=False)
    (tmp_path / "key.pub").rename(home / ".ssh/authorized_keys")
    (home / ".ssh/authorized_keys").chmod(0o600)
    user = getpass.getuser()
    net.cover("/etc/passwd", f"{user}:x:{os.getuid()}:{os.getgid()}::{home}:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n")
    os.makedirs("/run/sshd", exist_ok=True)
    (tmp_path / "conf").write_text(
        f"Port 22\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\nMaxStartups 100\n")
    server = net.start(["/usr/sbin/sshd", "-D", "-e", "-f", tmp_path / "conf"], **limits)
    wait_for(net, 22)
    options = ["-F", "none", "-i", tmp_path / "key", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    data = os.urandom(2_000_000)
    (tmp_path / "data").write_bytes(data)
    quiet = net.start(["ssh", *options, f"{user}@127.0.0.1", "sleep 4; echo hello"], library=False)
    for i in range(3):
        expect(net, ["sftp", *options, f"{user}@127.0.0.1:{tmp_path}/data", tmp_path / f"copy{i}"], library=False)
        assert (tmp_path / f"copy{i}").read_bytes() == data
        out = net.run(["ssh", *options, f"{user}@127.0.0.1", "cat"], library=False, stdin=lambda: (tmp_path / "data").open("rb"))
        assert out.status == 0 and out.out == data, (out.status, out.err)
    assert quiet.finish().out == b"hello\n"
    still_running(server)


FORKING = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ForkingTCPServer):
    allow_reuse_address = True
    max_children = 40
Server(("127.0.0.1", 7000), Echo).serve_forever()
"""

TALK = """
import socket, sys, threading
def talk(n):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        stream = s.makefile("rwb")
        for i in range(200):
            line = b"%d %d %s\\n" % (n, i, b"x" * (i * 37 % 5000))
            stream.write(line); stream.flush()
            assert stream.readline() == line
threads = [threading.Thread(target=talk, args=(n,)) for n in range(10)]
[t.start() for t in threads]; [t.join() for t in threads]
print("done")
"""


@EACH
def test_forking_server(net, limits):
    server = net.start([programs.PYTHON, "-c", FORKING], **limits)
    wait_for(net, 7000)
    for _ in range(2):
        result = net.run([programs.PYTHON, "-c", TALK, "7000"], library=False)
        assert result.out == b"done\n" and not result.err, result
    still_running(server)


@EACH
def test_memcached(net, limits):
    needs("memcached")
    server = net.start(["memcached", "-u", "root", "-l", "127.0.0.1", "-p", "11211", "-t", "4"], **limits)
    wait_for(net, 11211)
    assert expect(net, [programs.PYTHON, "-c", MEMCACHE], library=False) == "done\n"
    still_running(server)


MEMCACHE = """
import socket, threading
def talk(n):
    with socket.create_connection(("127.0.0.1", 11211)) as s:
        stream = s.makefile("rwb")
        for i in range(300):
            value = b"x" * (i * 997 % 100000)
            stream.write(b"set k%d-%d 0 0 %d\\r\\n%s\\r\\nget k%d-%d\\r\\n" % (n, i, len(value), value, n, i)); stream.flush()
            assert stream.readline() == b"STORED\\r\\n"
            assert stream.readline().split()[3] == b"%d" % len(value)
            assert stream.read(len(value) + 7) == value + b"\\r\\nEND\\r\\n"
threads = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print("done")
"""


@EACH
def test_stunnel(net, tmp_path, limits):
    """TLS in, plain out, in threads; both sides under the library."""
    needs("stunnel")
    behind = net.serve(tcp.echo)
    (tmp_path / "conf").write_text(f"foreground = yes\npid =\n[a]\naccept = 127.0.0.1:8443\nconnect = 127.0.0.1:{behind.port}\n"
                                   f"cert = {tls.certificate()}\nkey = {tls.certificate()}\n")
    server = net.start(["stunnel", tmp_path / "conf"], **limits)
    wait_for(net, 8443)
    talks = [net.start([programs.PYTHON, "-c", TLS_TALK, "8443"], library=False) for _ in range(3)]
    for talk in talks:
        result = talk.finish()
        assert result.out == b"done\n", result
    still_running(server)


TLS_TALK = """
import socket, ssl, sys
context = ssl._create_unverified_context()
for n in range(10):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))) as s:
        for i in range(20):
            data = bytes(i % 256 for i in range(i * 3001 % 50000)) + b"\\n"
            s.sendall(data)
            got = b""
            while len(got) < len(data):
                got += s.recv(65536)
            assert got == data
print("done")
"""
