"""Clients that hold on to a server: ended within the limits on accepted connections, while others are served."""

import re

import pytest

import programs
from faults import tcp, tls
from servers_test import needs, nginx, pytestmark, wait_for  # noqa: F401: fixtures and marks

# Holds a connection in one way and prints how long the server let it, in ms.
CLIENT = """
import select, socket, sys, time
port, way = int(sys.argv[1]), sys.argv[2]
s = socket.socket()
if way == "deaf":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", port))
began = time.monotonic()
s.sendall({"silent": b"", "hello": bytes([22, 3, 1]), "drip": b"GET /", "deaf": b"GET /large HTTP/1.0\\r\\n\\r\\n"}[way])
poller = select.poll()
poller.register(s, select.POLLRDHUP | (0 if way == "deaf" else select.POLLIN))
try:
    while time.monotonic() - began < 20 and not poller.poll(100):
        if way == "drip":
            s.send(b"x")
except OSError:
    pass
print(int((time.monotonic() - began) * 1000))
"""

PYTHON_SERVER = """
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
if sys.argv[2:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def expect_ended(net, url, way):
    """The slow client is let go in time, and another gets its answer meanwhile."""
    port = re.search(r":(\d+)/", url)[1]
    slow = net.start([programs.PYTHON, "-c", CLIENT, port, way], library=False)
    quick = net.run(["curl", "-q", "-sS", "-k", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", url], library=False)
    assert (quick.status, quick.out) == (0, b"200"), quick
    result = slow.finish(patience=30)
    assert result.status == 0 and 500 < int(result.out) < 6000, result


@pytest.mark.parametrize("port, way, limits", [
    (8443, "hello", {"INBOUND_TLS_HANDSHAKE": "700ms"}),
    (8443, "silent", {"INBOUND_IDLE": "700ms"}),
    (8080, "drip", {"INBOUND_MIN_RATE": "1k/700ms"}),
    (8080, "silent", {"INBOUND_IDLE": "700ms"}),
    (8080, "deaf", {"INBOUND_IDLE": "700ms"}),
], ids=lambda value: value if isinstance(value, str) else None)
def test_nginx(net, nginx, port, way, limits):  # noqa: F811
    nginx(**limits)
    expect_ended(net, f"http{'s' if port == 8443 else ''}://127.0.0.1:{port}/small", way)


@pytest.mark.parametrize("secure, way, limits", [
    (True, "silent", {"INBOUND_TLS_HANDSHAKE": "700ms"}),
    (False, "silent", {"INBOUND_RECV": "700ms"}),
    (False, "drip", {"INBOUND_MIN_RATE": "1k/700ms"}),
    (False, "deaf", {"INBOUND_SEND": "700ms"}),
])
def test_python(net, tmp_path, secure, way, limits):
    (tmp_path / "small").write_text("hello\n")
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    net.start([programs.PYTHON, "-c", PYTHON_SERVER, 8000, *([tls.certificate()] if secure else [])], cwd=tmp_path, **limits)
    wait_for(net, 8000)
    expect_ended(net, f"http{'s' if secure else ''}://127.0.0.1:8000/small", way)


@pytest.mark.parametrize("way", ["silent", "hello"])
def test_stunnel(net, tmp_path, way):
    needs("stunnel")
    behind = net.serve(tcp.greeting(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"))
    (tmp_path / "conf").write_text(f"foreground = yes\npid =\n[a]\naccept = 127.0.0.1:8443\nconnect = 127.0.0.1:{behind.port}\n"
                                   f"cert = {tls.certificate()}\nkey = {tls.certificate()}\n")
    net.start(["stunnel", tmp_path / "conf"], INBOUND_TLS_HANDSHAKE="700ms")
    wait_for(net, 8443)
    expect_ended(net, "https://127.0.0.1:8443/", way)
