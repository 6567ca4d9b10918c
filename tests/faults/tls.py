"""TLS around any behaviour, and the ways a TLS peer can hang its client.

A peer that never answers the handshake is tcp.silent; one that stalls after it is over_tls(tcp.silent); one that drips
is over_tls(tcp.drip(...)).
"""

import contextlib
import functools
import pathlib
import ssl
import subprocess
import tempfile
import threading

MAKING = threading.Lock()  # lru_cache lets two threads make the same thing


@functools.lru_cache(maxsize=1)
def certificate():
    """The path of a file with a key and a certificate for host.test and 127.0.0.1, made on first use."""
    directory = tempfile.TemporaryDirectory(prefix="netdeadline-tls-")
    certificate.directory = directory  # removed when this process ends
    path = pathlib.Path(directory.name) / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=host.test", "-addext", "subjectAltName=DNS:host.test,IP:127.0.0.1",
         "-keyout", path, "-out", f"{path}.crt"],
        check=True, capture_output=True)
    with path.open("a") as pem:
        pem.write(pathlib.Path(f"{path}.crt").read_text())
    return str(path)


@functools.lru_cache(maxsize=1)
def _server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    return context


def server_context():
    with MAKING:
        return _server_context()


def over_tls(behaviour):
    """A handshake, then `behaviour` on the TLS connection, then an orderly close."""

    def served(connection, stop):
        with server_context().wrap_socket(connection, server_side=True) as secure:
            behaviour(secure, stop)
            # The client may never send its own close_notify: it need not be waited for long.
            secure.settimeout(5)
            with contextlib.suppress(OSError):
                secure.unwrap()

    return served


def never_closes(behaviour):
    """As over_tls, but after `behaviour` neither close_notify nor FIN is ever sent."""

    def open_for_ever(secure, stop):
        behaviour(secure, stop)
        stop.wait()

    return over_tls(open_for_ever)


def drips_record(answer, interval=0.2, asked=True):
    """A handshake, then `answer` as one record that comes a byte each `interval` seconds: the client's TLS library has
    something to read each time, and the program never."""

    def served(connection, stop):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = server_context().wrap_bio(incoming, outgoing, server_side=True)

        def exchange(call):
            while True:
                try:
                    call()
                    return
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))

        exchange(secure.do_handshake)
        if asked:
            exchange(lambda: secure.read(65536))
        connection.sendall(outgoing.read())
        secure.write(answer)
        for byte in outgoing.read():
            if stop.wait(interval):
                return
            connection.sendall(bytes([byte]))

    return served
