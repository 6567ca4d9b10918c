"""Lookups a second with and without the library, in turn, so that both see the same machine: medians and their ratio; above
1.00 the library is faster."""

import contextlib
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402
from namespace import Namespace  # noqa: E402

FEW, MANY = 5, 100_000
NAMES = [("192.0.2.1", 0, FEW, "numeric"), ("2001:db8::1", 0, FEW, "numeric"),
         ("dns.test", 2, FEW, "DNS, A"), ("dns.test", 0, FEW, "DNS, A and AAAA"), ("host5.test", 0, FEW, f"one of {FEW} hosts"),
         ("host1.test", 0, MANY, f"the first of {MANY:,} hosts"), (f"host{MANY}.test", 0, MANY, "the last of them")]
MS = 300


def rate(net, library, name, family, threads):
    result = programs.run([programs.BUILD / "tests/lookups", "rate", name, family, threads, MS], net, library, patience=60)
    made, ns, failed = map(int, result.out.split())
    if failed or result.status:
        sys.exit(f"{name}: {result}")
    return made, ns / 1000


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
        net.etc("resolv.conf", "nameserver 127.0.0.53\n")
        print(f"{'':42}{'threads':>8}{'libc/s':>12}{'library/s':>12}{'ratio':>8}{'libc us':>12}{'library us':>12}"
              f"   (medians of {rounds}; us of processor time a lookup)")
        for name, family, lines, text in NAMES:
            hosts = "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} host{i}.test alias{i}\n" for i in range(1, lines + 1))
            net.etc("hosts", "127.0.0.1 localhost\n" + hosts)
            for threads in 1, 32:
                pairs = [[rate(net, library, name, family, threads) for library in (False, True)] for _ in range(rounds)]
                (libc, libc_us), (ours, ours_us) = ([statistics.median(kind) for kind in zip(*each)] for each in zip(*pairs))
                print(f"{name + ': ' + text:42}{threads:8}{libc:12,.0f}{ours:12,.0f}{ours / max(libc, 1):8.2f}"
                      f"{libc_us:12,.2f}{ours_us:12,.2f}", flush=True)


main()
