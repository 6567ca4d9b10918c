"""What the library costs, in the five figures of the README: each a median of runs with and without it in turn, of starts the
fastest. Takes half a minute."""

import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]

import programs  # noqa: E402
import programs_bench  # noqa: E402
from network import Net  # noqa: E402

KINDS = [programs.environment(library=False), programs.environment()]


def medians(rounds, measure, of=statistics.median):
    """measure(variables), without the library and with it."""
    results = [[measure(variables) for variables in KINDS] for _ in range(rounds)]
    return [of(each) for each in zip(*results)]


def start(variables):
    """Milliseconds from the start of `true` to its end."""
    began = time.perf_counter()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], variables), 0)
    return (time.perf_counter() - began) * 1e3


def private_memory(variables):
    """Kilobytes that a process with a connection has written, and so has for itself."""
    told = programs.run(programs.child("""
ends = tcp_pair()
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Private_Dirty:")))"""), variables=variables, library=False)
    return int(told.out)


def exchange(variables):
    """Microseconds of a question of 64 bytes and its answer between two threads, over loopback."""
    told = programs.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), programs.BUILD / "tests/loop", "pingpong", "20000"],
                        variables=variables, library=False)
    return float(told.out) / 20000 * 1e6


def lookup(net):
    """Microseconds of processor time of a lookup of both addresses of a name, which a server on loopback answers."""

    def measure(variables):
        told = net.run([programs.BUILD / "tests/lookups", "rate", "dns.test", 0, 1, 500], library="LD_PRELOAD" in variables)
        made, ns, failed = map(int, told.out.split())
        if failed or told.status:
            sys.exit(f"lookup: {told}")
        return ns / 1000

    return measure


def served(variables):
    """Requests a second that redis-server answers to 50 clients."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        return programs_bench.redis(Net(directory, stack), directory, {"library": "LD_PRELOAD" in variables})[0]


def show(what, form, without, under):
    print(f"{what:62}{form % without:>12}{form % under:>12}{under / without:8.2f}", flush=True)


def main():
    print(f"{'':62}{'without':>12}{'library':>12}{'ratio':>8}")
    show("start and end of `true`, ms", "%.2f", *medians(400, start, min))
    show("private memory of Python with a connection, KB", "%.0f", *medians(5, private_memory))
    show("64 bytes sent and answered over loopback, us", "%.2f", *medians(15, exchange))
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        net = Net(directory, stack)
        net.etc("resolv.conf", "nameserver 127.0.0.53\n")  # the program's own server
        show("lookup of a name (A and AAAA) by DNS, us of processor time", "%.0f", *medians(5, lookup(net)))
    show("redis-server, SET by 50 clients, requests a second", "%.0f", *medians(5, served))


main()
