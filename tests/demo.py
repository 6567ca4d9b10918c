"""Runs unmodified programs against four peers that hang them, without the library (cut after a few seconds) and under
`netdeadline run`, and prints what became of them."""

import concurrent.futures
import contextlib
import sys
import tempfile

import programs
from faults import DnsServer, Listener, dns, tcp, tls
from namespace import Namespace

PATIENCE = 4.0
LIMITS = ["--resolve", "1s", "--connect", "1s", "--recv", "1s", "--tls-shutdown", "1s"]

PYTHON_TLS = """
import socket, ssl, sys
secure = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
secure.unwrap()
"""


def rows(net):
    """What hangs, the program's name, and its command line."""
    silent, unclosed = Listener(tcp.silent), Listener(tls.over_tls(tcp.silent))
    DnsServer(dns.truncating, dns.silent, port=53)
    return [
        ("DNS that truncates, then is silent over TCP", "curl", ["curl", "-sS", "http://host.test/"]),
        ("a host that drops SYNs", "wget", ["wget", "--tries=1", "-nv", "-O-", f"http://{net.blackhole()}/"]),
        ("a server that never answers", "psql", ["psql", "-X", f"host=127.0.0.1 port={silent.port}", "-c", "select 1"]),
        ("a TLS peer that never finishes the close", "python3", [programs.PYTHON, "-c", PYTHON_TLS, unclosed.port]),
    ]


def run(net, argv):
    return programs.Program(argv, net, programs.environment(library=False)).finish(PATIENCE)


def told(result):
    if result.cut:
        return f"still hanging, cut after {result.elapsed:.1f} s"
    last = (result.text.strip().splitlines() or [""])[-1]
    return f"{result.elapsed:.1f} s, exit {result.status}: {last if len(last) <= 70 else '... ' + last[-66:]}"


def main():
    good = True
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
        with net.inside():
            table = rows(net)
        print(f"{'fault':44}{'program':9}{'without':36}with limits of 1 s")
        for fault, name, argv in table:
            with concurrent.futures.ThreadPoolExecutor() as both:
                without, under = both.map(lambda each: run(net, each), [
                    argv, [programs.BUILD / "netdeadline", "run", *LIMITS, "--", *argv]])
            print(f"{fault:44}{name:9}{told(without):36}{told(under)}", flush=True)
            good &= without.cut and not under.cut and under.status > 0
    sys.exit(0 if good else "netdeadline did not do its job here")


main()
