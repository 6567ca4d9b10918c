"""The faults of the matrix: how each is arranged for a program of the table, and the honest error it is held against."""

import dataclasses
import typing

from faults import FullBacklog, dns, tcp, tls

NAME = "host.test"
HERE = "127.0.0.1"


@dataclasses.dataclass
class Fault:
    """`arrange` and `honest` take (net, row) and give (host, port). The honest one is what the same program is shown
    without the library: the plainest error that this fault can end in."""

    name: str
    arrange: typing.Callable
    honest: typing.Callable
    applies: typing.Callable
    limits: dict = dataclasses.field(default_factory=dict)
    turn: int | None = None  # every program, or the even or odd ones


def served(behaviour, **options):
    """A server whose behaviour is made from (net, row)."""
    return lambda net, row: (HERE, net.serve(behaviour(net, row), port=row.port, **options).port)


def named(udp, over_tcp=None):
    def arrange(net, row):
        net.dns(udp, over_tcp)
        return NAME, row.port or 8080

    return arrange


def stall(_net, row):
    return tls.over_tls(row.protocol.stall) if row.tls else row.protocol.stall


def reset_after(behaviour):
    return lambda net, row: tcp.then_reset(behaviour(net, row))


def first_silence(_net, row):
    """Without TLS the client speaks first, but for protocols in which the server greets."""
    return tcp.silent if row.protocol.part_unasked else tcp.asked(tcp.silent)


def dropped(net, row):
    return net.blackhole(), row.port or 8080


def full(net, row):
    return HERE, net.open(FullBacklog, port=row.port).port


def refused(_net, row):
    return HERE, row.port or 8080  # nobody listens in a private network


def gone(behaviour):
    return lambda net, row: tcp.then_gone(
        behaviour(net, row), lambda port: net.drop(f"meta l4proto tcp th sport {port} drop; add rule inet faults in tcp dport {port}"))


def drips_record(_net, row):
    return tls.drips_record(b"x" * 100, asked=not row.protocol.part_unasked)


def never_closes(_net, row):
    return tls.never_closes(row.protocol.healthy)


def takes_little(_net, row):
    """Reads a little of what is sent, then no more."""

    def behaviour(connection, stop):
        connection.recv(1024)
        stop.wait()

    return tls.over_tls(behaviour) if row.tls else behaviour


def asks(row):
    return not row.sends and row.speaks != "names"


def plain(row):
    return asks(row) and not row.tls


def secure(row):
    return asks(row) and row.tls


def looks_up(row):
    return not row.sends and not row.tls and not row.numeric


RESET = served(reset_after(first_silence))
FAULTS = [
    Fault("no DNS answer", named(dns.silent), named(dns.failing()), looks_up, turn=0),
    Fault("DNS TC, silent TCP", named(dns.truncating, dns.silent), named(dns.failing()), looks_up, turn=1),
    Fault("dropped SYN", dropped, refused, plain, turn=0),
    Fault("full backlog", full, refused, plain, turn=1),
    Fault("silence", served(lambda _net, _row: tcp.silent), RESET, plain),
    Fault("stall", served(stall), served(reset_after(stall)), plain),
    Fault("gone", served(gone(stall)), served(reset_after(stall)), plain, turn=0),
    Fault("drip", served(lambda net, row: tcp.then_drip(stall(net, row))), served(reset_after(stall)), plain,
          {"MIN_RATE": "100/1s"}, turn=1),
    Fault("TLS silence", served(lambda _net, _row: tcp.silent), RESET, secure),
    Fault("TLS stall", served(stall), served(reset_after(stall)), secure),
    Fault("TLS drip", served(drips_record), served(reset_after(stall)), secure, {"MIN_RATE": "100/1s"}),
    Fault("TLS no close", served(never_closes), served(reset_after(never_closes)), secure),
    Fault("never reads", served(takes_little, receive_buffer=2048), served(reset_after(takes_little)), lambda row: row.sends),
    Fault("gone upload", served(gone(takes_little), receive_buffer=2048), served(reset_after(takes_little)), lambda row: row.sends),
]


def outcome(result):
    """How a run ended, for the table."""
    if result.cut:
        return "hangs"
    return f"signal {-result.status}" if result.status < 0 else f"exit {result.status}"
