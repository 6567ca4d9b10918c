#!/usr/bin/python3
"""Starts one faulty or healthy server and prints its port as `port N`. Ends when it is killed or its input ends."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from faults import dns, good, tcp, tls  # noqa: E402
from faults.listener import Listener  # noqa: E402


def zone_of(options):
    names = {}
    for entry in options.zone:
        name, _, value = entry.partition("=")
        names.setdefault(name, []).append(value)
    return dns.Zone(names)


def tcp_server(behaviour):
    """A maker of listeners; `behaviour` is made from the options."""
    return lambda options, where: Listener(behaviour(options), **where)


def dns_server(udp, tcp_responder=None):
    return lambda options, where: dns.DnsServer(udp(options), tcp_responder, **where)


def answer(options):
    return dns.answering(zone_of(options))


SERVERS = {
    "dns": dns_server(answer),
    "dns-silent": dns_server(lambda _: dns.silent),
    "dns-truncate": dns_server(lambda _: dns.truncating, dns.silent),
    "dns-late": dns_server(lambda o: dns.late(o.delay, answer(o))),
    "dns-wrong-ids": dns_server(lambda o: dns.wrong_ids(answer(o))),
    "dns-wrong-ids-only": dns_server(lambda _: dns.wrong_ids()),
    "dns-servfail": dns_server(lambda _: dns.failing()),
    "tcp-silent": tcp_server(lambda _: tcp.silent),
    "tcp-part": tcp_server(lambda _: tcp.part()),
    "tcp-drip": tcp_server(lambda o: tcp.drip(good.http_response(), o.delay)),
    "tcp-late": tcp_server(lambda o: tcp.late_answer(o.delay, good.http_response())),
    "tcp-pause-read": tcp_server(lambda o: tcp.pausing(o.delay, good.http())),
    "tcp-crawl": tcp_server(lambda o: tcp.crawling(o.chunk, o.delay, good.http())),
    "tcp-no-read": lambda _options, where: tcp.never_reads(**where),
    "tcp-full-backlog": lambda _options, where: tcp.FullBacklog(**where),
    "http": tcp_server(lambda _: good.http()),
    "redis": tcp_server(lambda _: good.redis),
    "postgres": tcp_server(lambda o: good.postgres(delay=o.delay)),
    "postgres-silent": tcp_server(lambda _: good.postgres(answer=None)),
    "git": tcp_server(lambda _: good.git),
    "tls-silent": tcp_server(lambda _: tcp.silent),
    "tls-stall": tcp_server(lambda _: tls.over_tls(tcp.silent)),
    "tls-no-read": tcp_server(lambda _: tls.over_tls(tcp.silent)),
    "tls-drip": tcp_server(lambda o: tls.over_tls(tcp.drip(good.http_response(), o.delay))),
    "tls-no-close": tcp_server(lambda _: tls.never_closes(good.http())),
    "https": tcp_server(lambda _: tls.over_tls(good.http())),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=SERVERS, metavar="SERVER", help=", ".join(SERVERS))
    parser.add_argument("zone", nargs="*", metavar="NAME=ADDRESS", help="the zone of a name server")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; a free one if 0")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds, where the server is late or slow")
    parser.add_argument("--chunk", type=int, default=4096, help="bytes that a crawling reader takes at a time")
    options = parser.parse_args()
    server = SERVERS[options.server](options, {"host": options.host, "port": options.port})
    print(f"port {server.port}", flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main()
