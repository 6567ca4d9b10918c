"""A name server with a zone of its own, and the ways in which one can hang or mislead a resolver.

What a server does with a question is a responder: a function of (question, send, stop). `send` sends one message, over
UDP or TCP as the question came. UDP and TCP may have different responders: one that truncates over UDP and says nothing
over TCP hangs glibc for ever.
"""

import contextlib
import dataclasses
import ipaddress
import socket
import struct
import threading

from .listener import Listener

A, CNAME, PTR, SOA, AAAA = 1, 5, 12, 6, 28
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
RCODES = {"FORMERR": FORMERR, "SERVFAIL": SERVFAIL, "NXDOMAIN": NXDOMAIN, "NOTIMP": NOTIMP, "REFUSED": REFUSED}


@dataclasses.dataclass
class Question:
    id: int
    name: str  # lower case, without the last dot
    type: int
    section: bytes  # the question section as it came, to be sent back
    transport: str  # "udp" or "tcp"
    asker: object  # where the question came from: the address and port, or over TCP the connection


def parse(message, transport, asker=None):
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
        at += 1 + length
    kind = struct.unpack_from("!H", message, at + 1)[0]
    return Question(struct.unpack_from("!H", message)[0], ".".join(labels).lower(), kind, message[12:at + 5], transport, asker)


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.rstrip(".").split(".") if label) + b"\0"


def record(name, kind, data, ttl=60):
    return encode_name(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def message(question, records=(), rcode=NOERROR, truncated=False, id=None):
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    head = struct.pack("!6H", question.id if id is None else id, flags, 1, len(records), 0, 0)
    return head + question.section + b"".join(records)


class Zone:
    """Names and what they have: addresses, another name (a CNAME), or one of RCODES; other names do not exist."""

    def __init__(self, names=None):
        self.names = {name.lower().rstrip("."): [values] if isinstance(values, str) else values
                      for name, values in (names or {}).items()}

    def reply(self, question, **header):
        records, name = [], question.name
        for _ in range(16):
            values = self.names.get(name)
            if values is None:
                return message(question, records, rcode=NXDOMAIN, **header)
            target = None
            for value in values:
                if value in RCODES:
                    return message(question, rcode=RCODES[value], **header)
                try:
                    address = ipaddress.ip_address(value)
                except ValueError:
                    target = value
                    records.append(record(name, CNAME, encode_name(value)))
                    continue
                kind = A if address.version == 4 else AAAA
                if kind == question.type:
                    records.append(record(name, kind, address.packed))
            if target is None:
                break
            name = target.lower().rstrip(".")
        return message(question, records, **header)


def answering(zone):
    """Answers from `zone`, at once."""
    return lambda question, send, _stop: send(zone.reply(question))


def silent(_question, _send, _stop):
    """Never answers; over TCP the connection stays open."""


def for_type(kind, then, otherwise):
    """Answers questions for one type of record in one way, all others in another."""
    return lambda question, send, stop: (then if question.type == kind else otherwise)(question, send, stop)


def one_at_a_time(zone, seconds):
    """Answers `seconds` later, but no question from a port from which another one is being answered, as some firewalls have it."""
    busy = set()

    def respond(question, send, stop):
        if question.asker not in busy:
            busy.add(question.asker)
            stop.wait(seconds)
            send(zone.reply(question))
            busy.discard(question.asker)

    return respond


def resetting(times, then):
    """Resets its first so many connections when a question comes over them; goes on as `then`."""
    left = iter(range(times))

    def respond(question, send, stop):
        if next(left, None) is None:
            then(question, send, stop)
            return
        question.asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        question.asker.shutdown(socket.SHUT_RD)  # wakes its reader, who closes it

    return respond


def one_a_connection(zone):
    """Answers one question, and closes the connection."""

    def respond(question, send, _stop):
        send(zone.reply(question))
        question.asker.shutdown(socket.SHUT_RDWR)

    return respond


def ending(question, _send, _stop):
    """Closes the connection over which a question came."""
    question.asker.shutdown(socket.SHUT_RDWR)


def mistaken(question, send, _stop):
    """Answers another question than the one that was asked."""
    send(Zone({"other.test": ["203.0.113.66"]}).reply(dataclasses.replace(question, name="other.test", section=encode_name("other.test") + question.section[-4:])))


def truncating(question, send, _stop):
    """Says that the answer is too long for UDP, and holds none of it."""
    send(message(question, truncated=True))


def failing(rcode=SERVFAIL):
    return lambda question, send, _stop: send(message(question, rcode=rcode))


def late(seconds, then):
    """Answers as `then`, `seconds` later."""

    def respond(question, send, stop):
        if not stop.wait(seconds):
            then(question, send, stop)

    return respond


def wrong_ids(then=silent, count=3):
    """Sends `count` answers with ids other than the question's and with false addresses, then goes on as `then`."""

    def respond(question, send, stop):
        lies = Zone({question.name: ["203.0.113.66", "2001:db8::bad"]})
        for step in range(1, count + 1):
            send(lies.reply(question, id=(question.id + step) & 0xFFFF))
        then(question, send, stop)

    return respond


NO_TCP = object()


class DnsServer:
    """A name server on one port for both transports. `questions` collects what was asked. `tcp` is the responder over TCP if it
    is another one, or NO_TCP: the port is closed there."""

    def __init__(self, udp, tcp=None, host="127.0.0.1", port=0):
        self.udp_responder, self.tcp_responder = udp, tcp or udp
        self.questions = []
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:  # a port that is free for TCP may be taken for UDP
            self.tcp = Listener(self._serve_tcp, host, port)
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            try:
                self.udp.bind((host, self.tcp.port))
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
                if port:
                    raise
        if tcp is NO_TCP:
            self.tcp.close()
            self.tcp.stop.clear()
        self.port = self.tcp.port
        self.stop = self.tcp.stop
        self._udp_thread = threading.Thread(target=self._serve_udp, daemon=True)
        self._udp_thread.start()

    def _ask(self, responder, data, transport, send, asker):
        with contextlib.suppress(IndexError, struct.error):  # not a question: a name server is silent then
            question = parse(data, transport, asker)
            self.questions.append(question)
            with contextlib.suppress(OSError):
                responder(question, send, self.stop)

    def _serve_udp(self):
        while not self.stop.is_set():
            try:
                data, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if self.stop.is_set():
                return
            threading.Thread(target=self._ask, daemon=True,
                             args=(self.udp_responder, data, "udp", lambda reply, to=peer: self.udp.sendto(reply, to), peer)).start()

    def _serve_tcp(self, connection, _stop):
        stream = connection.makefile("rb")

        def send(reply):
            connection.sendall(struct.pack("!H", len(reply)) + reply)

        while len(head := stream.read(2)) == 2:
            data = stream.read(struct.unpack("!H", head)[0])
            threading.Thread(target=self._ask, args=(self.tcp_responder, data, "tcp", send, connection), daemon=True).start()

    def close(self):
        self.stop.set()
        self.tcp.close()
        with contextlib.suppress(OSError):
            self.udp.shutdown(socket.SHUT_RDWR)  # wakes the thread; fails with ENOTCONN, having done so
        self._udp_thread.join(5)  # while it receives, the socket lives on, and a question gets no ICMP error
        self.udp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def truncates_then_silent(**where):
    """The server that current glibc waits for without end."""
    return DnsServer(truncating, silent, **where)
