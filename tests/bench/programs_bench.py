"""Real programs with and without the library, alternating, so that both see the same machine: the median of what each says of
its speed, and the ratio of the medians (below 1.00 the library is slower); then the same for the work that the program under
the library does in a second of processor time, which varies less from run to run where other programs share the machine.
Arguments: ROUNDS, then names of benchmarks."""

import contextlib
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]

import programs  # noqa: E402
from faults import tls  # noqa: E402
from network import Net  # noqa: E402

LIMITS = {f"{side}{name}": "30s" for side in ("", "INBOUND_") for name in ("RECV", "SEND", "TLS_HANDSHAKE")}
KINDS = {"without": {"library": False}, "defaults": {}, "limits set": LIMITS}

NGINX = """
daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error crit; user root;
events { worker_connections 2048; }
http { access_log off; server { listen 8080; listen 8443 ssl; ssl_certificate %(pem)s; ssl_certificate_key %(pem)s; root %(dir)s;
       client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u;
       scgi_temp_path %(dir)s/s; keepalive_requests 1000000; } }
"""


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"no {pattern} in {text}")
    return float(found[1])


def output(net, argv, **how):
    result = net.run(argv, patience=120, **how)
    if result.status:
        raise SystemExit(f"{argv}: {result}")
    return result.out.decode()


def until(net, port):
    while net.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], library=False).status:
        time.sleep(0.05)


class Meter:
    """Processor time, in seconds, that a server with its threads and ended children takes; without a server, what the
    children of this process took that have ended."""

    def __init__(self, server=None):
        self.server = server
        self.begin = self._now()

    def taken(self):
        return self._now() - self.begin

    def _now(self):
        if not self.server:
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime
        process = pathlib.Path(f"/proc/{self.server.process.pid}")
        ended = sum(map(int, process.joinpath("stat").read_text().rpartition(")")[2].split()[13:15])) / os.sysconf("SC_CLK_TCK")
        return ended + sum(int(each.read_text().split()[0]) for each in process.glob("task/*/schedstat")) / 1e9


# Each benchmark gives a speed and what is done in a second of processor time; what it measures runs under `how`, the load
# without the library.

def redis(net, directory, how, count=200000, *more):
    server = net.start(["redis-server", "--port", "6379", "--save", "", "--dir", directory], **how)
    until(net, 6379)
    meter = Meter(server)
    told = output(net, ["redis-benchmark", "-t", "set", "-n", str(count), "-c", "50", "--csv", *more], library=False)
    return number(r'"SET","([\d.]+)"', told), count / meter.taken()


def redis_pipelined(net, directory, how):
    return redis(net, directory, how, 2000000, "-P", "16")


def redis_client(net, directory, how, count=200000):
    net.start(["redis-server", "--port", "6379", "--save", "", "--dir", directory], library=False)
    until(net, 6379)
    meter = Meter()
    told = output(net, ["redis-benchmark", "-t", "set", "-n", str(count), "--csv"], **how)
    return number(r'"SET","([\d.]+)"', told), count / meter.taken()


def nginx(net, directory, how, url="http://127.0.0.1:8080/small", clients="32"):
    (directory / "small").write_text("hello\n" * 100)
    (directory / "large").write_bytes(bytes(20_000_000))
    (directory / "conf").write_text(NGINX % {"dir": directory, "pem": tls.certificate()})
    server = net.start(["nginx", "-c", directory / "conf", "-e", directory / "error"], **how)
    until(net, 8080)
    meter = Meter(server)
    told = output(net, ["wrk", "-t1", "-c", clients, "-d2", url], library=False)
    return number(r"Requests/sec: +([\d.]+)", told), number(r"(\d+) requests in", told) / meter.taken()


def nginx_thousand(net, directory, how):
    """1,000 connections in one epoll."""
    return nginx(net, directory, how, clients="1000")


def nginx_tls(net, directory, how):
    return nginx(net, directory, how, "https://127.0.0.1:8443/small")


def nginx_tls_bulk(net, directory, how):
    return nginx(net, directory, how, "https://127.0.0.1:8443/large", "4")


def curl_bulk(net, directory, how):
    """A download by a program under the library."""
    nginx_server = [{"library": False}, "https://127.0.0.1:8443/small"]
    nginx(net, directory, *nginx_server)
    meter = Meter()
    told = output(net, ["curl", "-q", "-sk", "-o", "/dev/null", "-w", "%{speed_download}", "https://127.0.0.1:8443/large"], **how)
    return number(r"^([\d.]+)", told) / 1e6, 20 / meter.taken()


def pgbench(net, directory, how):
    binary = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))[-1].parent
    subprocess.run(["chown", "postgres", directory], check=True)
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    user = {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGSSLMODE": "disable"}
    output(net, [*as_postgres, f"{binary}/initdb", "-D", directory / "data", "-A", "trust", "--no-sync"], library=False)
    server = net.start([*as_postgres, f"{binary}/postgres", "-D", directory / "data", "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"], **how)
    while net.run(["psql", "-X", "-c", "select 1"], library=False, variables=user).status:
        time.sleep(0.1)
    output(net, [f"{binary}/pgbench", "-i", "-q", "postgres"], library=False, variables=user)
    both = Meter(server), Meter()
    told = output(net, [f"{binary}/pgbench", "-S", "-T", "3", "-c", "4", "postgres"], variables=user, **how)
    taken = sum(meter.taken() for meter in both)
    return number(r"tps = ([\d.]+)", told), number(r"processed: (\d+)", told) / taken


BENCHMARKS = {
    "redis": (redis, "redis-server, SET by 50 clients, requests a second"),
    "redis-pipelined": (redis_pipelined, "the same in pipelines of 16"),
    "redis-client": (redis_client, "redis-benchmark itself under the library"),
    "nginx": (nginx, "nginx, 32 clients of wrk, requests a second"),
    "nginx-1000": (nginx_thousand, "nginx with 1,000 connections, requests a second"),
    "nginx-tls": (nginx_tls, "nginx over TLS, requests a second"),
    "nginx-tls-bulk": (nginx_tls_bulk, "nginx over TLS, files of 20 MB a second"),
    "curl-bulk": (curl_bulk, "curl over TLS, 20 MB, MB a second"),
    "pgbench": (pgbench, "postgres and pgbench, read only, transactions a second"),
}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    names = sys.argv[2:] or list(BENCHMARKS)
    heads = "".join(f"{kind:>12}" + "   ratio" * (kind != "without") for kind in KINDS)
    print(f"{f'(medians of {rounds})':60}{heads}")
    for name in names:
        run, text = BENCHMARKS[name]
        results = {kind: [] for kind in KINDS}
        for turn in range(rounds):
            for kind in sorted(KINDS, key=list(KINDS).index, reverse=bool(turn % 2)):
                with tempfile.TemporaryDirectory(prefix="netdeadline-bench-") as directory, contextlib.ExitStack() as stack:
                    os.chmod(directory, 0o755)
                    net = Net(tempfile.mkdtemp(dir=directory), stack)
                    net.do("sh", "-c", "echo '4096 16384 4194304' >/proc/sys/net/ipv4/tcp_wmem")
                    results[kind].append(run(net, pathlib.Path(directory), KINDS[kind]))
        for number_of, line in enumerate((text, "    of its processor's seconds")):
            medians = {kind: statistics.median(result[number_of] for result in each) for kind, each in results.items()}
            base = medians["without"]
            print(f"{line:60.60}{base:12.1f}" +
                  "".join(f"{medians[kind]:12.1f}{medians[kind] / base:8.3f}" for kind in ("defaults", "limits set")), flush=True)


if __name__ == "__main__":
    main()
