"""Healthy servers, as small as real clients accept them. Their answers hold no date and no random value, so that two runs
of a client can be compared byte for byte."""

import struct

from .binary import receive_exactly


def http_response(body=b"hello\n", content_type="text/plain"):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def unchunked(body):
    """The data of a body in chunked encoding."""
    data = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        data, body = data + body[:int(size, 16)], body[int(size, 16) + 2:]
    return data


def read_http_request(connection):
    """Reads one request; gives its head and its body (by Content-Length or chunked)."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data, b""
        data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    fields = {name.lower(): value.strip() for name, _, value in
              (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if fields.get(b"expect", b"").lower() == b"100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    chunked = fields.get(b"transfer-encoding") == b"chunked"
    length = int(fields.get(b"content-length", 0))
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return head, unchunked(body) if chunked else body


def http(pages=None, requests=None):
    """Serves `pages` (path to body; any path is hello without it), one request a connection; `requests` gets what came."""

    def behaviour(connection, _stop):
        head, body = read_http_request(connection)
        if requests is not None:
            requests.append((head, body))
        if not head:
            return
        path = head.split()[1].decode().split("?")[0]
        if body:
            connection.sendall(http_response(b"took %d\n" % len(body)))
        elif pages is None:
            connection.sendall(http_response())
        elif path in pages:
            connection.sendall(http_response(pages[path]))
        else:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return behaviour


def saying(data):
    """Says `data` without being asked, and closes."""
    return lambda connection, _stop: connection.sendall(data)


def sink(connection, _stop):
    """Takes everything, to its end, and says how much it was."""
    taken = 0
    while chunk := connection.recv(65536):
        taken += len(chunk)
    connection.sendall(b"took %d\n" % taken)


REFERENCE = "0123456789abcdef0123456789abcdef01234567"

# What `git ls-remote http://...` reads where the server knows only the dumb protocol.
GIT_PAGES = {"/repo/info/refs": f"{REFERENCE}\trefs/heads/main\n".encode(),
             "/repo/HEAD": b"ref: refs/heads/main\n"}


def git(connection, _stop):
    """The git:// protocol, as far as `git ls-remote` needs it."""
    connection.recv(65536)
    line = f"{REFERENCE} refs/heads/main\0agent=faults\n"
    connection.sendall(f"{len(line) + 4:04x}{line}0000".encode())
    connection.recv(65536)


def redis(connection, _stop):
    """Answers every Redis command with PONG."""
    while connection.recv(65536):
        connection.sendall(b"+PONG\r\n")


def _postgres_message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def postgres_ready():
    parameters = b"".join(_postgres_message(b"S", b"%s\0%s\0" % pair) for pair in [
        (b"server_version", b"15.0"), (b"client_encoding", b"UTF8"), (b"standard_conforming_strings", b"on")])
    return _postgres_message(b"R", struct.pack("!i", 0)) + parameters + _postgres_message(b"Z", b"I")


def postgres_row(value=b"1"):
    column = b"answer\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0)
    return (_postgres_message(b"T", struct.pack("!h", 1) + column) +
            _postgres_message(b"D", struct.pack("!hi", 1, len(value)) + value) +
            _postgres_message(b"C", b"SELECT 1\0") + _postgres_message(b"Z", b"I"))


def _postgres_start(connection):
    """Refuses TLS and GSS encryption until the client's plain startup message has come."""
    while True:
        length, code = struct.unpack("!ii", receive_exactly(connection, 8))
        receive_exactly(connection, length - 8)
        if code not in (80877103, 80877104):  # SSLRequest, GSSENCRequest
            return
        connection.sendall(b"N")


def postgres(answer=postgres_row(), delay=0):
    """A PostgreSQL that lets everybody in and gives `answer` to every query, after `delay`; None is silence."""

    def behaviour(connection, stop):
        _postgres_start(connection)
        connection.sendall(postgres_ready())
        while True:
            kind, length = struct.unpack("!ci", receive_exactly(connection, 5))
            receive_exactly(connection, length - 4)
            if kind == b"X":
                return
            if answer is None:
                stop.wait()
            if stop.wait(delay):
                return
            connection.sendall(answer)

    return behaviour
