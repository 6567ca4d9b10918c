"""ESTABLISH: one budget from the lookup of a name over all its addresses to the end of the TLS handshake."""

import json
import re

import pytest

import programs
from faults import dns, tcp, tls
from look import netdeadline, pid_of, waiting

DEAD = [f"127.9.9.{i}" for i in range(1, 7)]
ALIVE = "127.9.9.200"

# How programs get from a name to a connection. Each gives the address of its peer.
WAYS = {
    "getaddrinfo": "socket.create_connection((name, port)).getpeername()[0]",
    "gethostbyname": "by_hand(socket.gethostbyname_ex(name)[2])",
    "backwards": "by_hand(socket.gethostbyname_ex(name)[2][::-1])",
    "lookup in a thread": "by_hand(in_thread(addresses))",
    "all in a thread": "in_thread(lambda: by_hand(addresses()))",
    "poll": "by_hand(addresses(), polled)",
    "epoll": "by_hand(addresses(), epolled)",
    "asyncio": "in_asyncio()",
    "side by side": "in_asyncio(happy_eyeballs_delay=0.2)",
}

PROGRAM = """
import asyncio, concurrent.futures
name, port = sys.argv[1], int(sys.argv[2])

def addresses():
    return [each[4][0] for each in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]

def in_thread(call):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return pool.submit(call).result()

def plain(s, address):
    s.connect((address, port))

def pending(s, address, wait):
    s.setblocking(False)
    if s.connect_ex((address, port)) != errno.EINPROGRESS:
        raise TimeoutError(errno.ETIMEDOUT, "at once")
    wait(s)
    if error := s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, "later")

def polled(s, address):
    set = select.poll()
    set.register(s, select.POLLOUT)
    pending(s, address, lambda s: set.poll())

def epolled(s, address):
    set = select.epoll()
    set.register(s, select.EPOLLOUT | select.EPOLLET)
    pending(s, address, lambda s: set.poll())

def by_hand(addresses, connect=plain):
    for address in addresses:
        s = socket.socket()
        try:
            connect(s, address)
            return s.getpeername()[0]
        except OSError as e:
            failure = e
            s.close()
    raise failure

def in_asyncio(**how):
    async def main():
        _, writer = await asyncio.open_connection(name, port, **how)
        return writer.get_extra_info("peername")[0]
    return asyncio.run(main())

result = timed(lambda: error(lambda: WAY))
print(json.dumps(result))
"""


@pytest.fixture
def hosts(net):
    """Names with dead addresses, and some with one that lives behind them."""
    net.drop("ip daddr 127.9.9.0/25")
    lines = ["127.0.0.1 localhost", *(f"{address} dead.test" for address in DEAD), f"{DEAD[0]} half.test", f"{ALIVE} half.test",
             f"{ALIVE} alive.test", f"{DEAD[0]} one.test"]
    net.etc("hosts", "".join(f"{line}\n" for line in lines))
    return net


def program(way, *arguments):
    return programs.child(PROGRAM.replace("WAY", way), *arguments)


def told(log):
    """Of each line of the log the operation, the peer or name, and the seconds since the lookup."""
    return [(operation, peer, float(seconds)) for operation, peer, seconds in re.findall(
        rb"operation=(\w+) (?:fd=\d+ )?(?:peer|name)=([^ ]*) limit=ESTABLISH timeout=\w+ elapsed=([\d.]+)s", log)]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_dead_addresses_take_the_time_of_one(hosts, way):
    run = hosts.run(program(way, "dead.test", 80), ESTABLISH="1s", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result in ("ETIMEDOUT", "OSError"), run  # asyncio has an error of several
    assert 0.9 <= seconds < 6, run
    assert {peer.split(b":")[0].decode() for _, peer, _ in told(run.err)} == set(DEAD), run
    assert b"limit=CONNECT" not in run.err, run


@pytest.mark.parametrize("way", ["getaddrinfo", "lookup in a thread", "epoll", "side by side"])
def test_a_dead_address_leaves_half_to_the_next(hosts, way):
    server = hosts.serve(tcp.silent, host=ALIVE)
    run = hosts.run(program(WAYS[way], "half.test", server.port), ESTABLISH="5s", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == repr(ALIVE) and seconds < 5, run
    assert len(told(run.err)) <= 1, run


def test_only_once(hosts):
    """After the budget each address fails at once, but only once: a program that tries for ever does not spin."""
    body = "by_hand(addresses() * 3)"
    run = hosts.run(program(body, "one.test", 80), ESTABLISH="800ms", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == "ETIMEDOUT" and 1.5 <= seconds < 5, run
    assert len(told(run.err)) == 3, run


def test_an_address_without_a_name(hosts):
    run = hosts.run(program("by_hand([name] * 2)", DEAD[0], 80), ESTABLISH="700ms", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == "ETIMEDOUT" and 1.4 <= seconds < 6, run
    assert [round(seconds, 1) >= 0.7 for _, _, seconds in told(run.err)] == [True, True], run


def test_connections_from_an_old_lookup(hosts):
    """A pool connects to what was looked up long ago: that has all the time again."""
    server = hosts.serve(tcp.silent, host=ALIVE)
    body = """[plain(socket.socket(), a) or time.sleep(0.4) for a in addresses() * 4] and "alive" """
    run = hosts.run(program(body.strip(), "alive.test", server.port), ESTABLISH="1s", LOG="stderr")
    assert json.loads(run.out)[0] == "'alive'" and not run.err, run


TLS = """
import ssl
name, port = sys.argv[1], int(sys.argv[2])

def dial_name(**how):
    return socket.create_connection((name, port), **how)

def in_a_loop():
    s = tls(dial_name(), do_handshake_on_connect=False)
    s.setblocking(False)
    while True:
        try:
            return s.do_handshake()
        except ssl.SSLWantReadError:
            select.select([s], [], [])

print(json.dumps(timed(lambda: error(lambda: WAY))))
"""

HANDSHAKES = {"blocking": "tls(dial_name())", "own timeout": "tls(dial_name(timeout=30))", "in a loop": "in_a_loop()"}


@pytest.mark.parametrize("way", HANDSHAKES.values(), ids=HANDSHAKES)
def test_the_handshake_is_part_of_it(hosts, way):
    server = hosts.serve(tcp.silent, host=ALIVE)
    run = hosts.run(programs.child(TLS.replace("WAY", way), "half.test", server.port), ESTABLISH="2400ms", LOG="stderr")
    result, seconds = json.loads(run.out)
    connect, shake = told(run.err)
    assert result != "None" and 2.3 <= seconds < 8, run
    assert (connect[0], shake[0]) == (b"connect", b"SSL_do_handshake") and shake[2] >= 2.4, run


def test_a_connection_that_stands_is_not_bounded(hosts):
    server = hosts.serve(tls.over_tls(tcp.silent), host=ALIVE)
    body = TLS.replace("WAY", "[s := tls(dial_name()), time.sleep(4), s.settimeout(0.3), s.recv(1)]")
    run = hosts.run(programs.child(body, "alive.test", server.port), ESTABLISH="4s", LOG="stderr")
    assert json.loads(run.out)[0] == "TimeoutError" and not run.err, run


def test_a_lookup_is_part_of_it(net):
    net.dns(dns.silent)
    run = net.run(program("addresses()", "host.test", 80), ESTABLISH="1s", RESOLVE="off", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result != "None" and 0.9 <= seconds < 6, run
    assert [line[:2] for line in told(run.err)] == [(b"getaddrinfo", b"host.test")], run


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost", None])
def test_a_lookup_that_takes_no_time(hosts, name):
    """ESTABLISH alone bounds no lookup without a name."""
    body = f"print(json.dumps(len(socket.getaddrinfo({name!r}, 'http', flags=socket.AI_ADDRCONFIG if {name!r} else 0)) > 0))"
    assert hosts.told(body, ESTABLISH="1s", RESOLVE="off") is True


def test_half_an_answer_leaves_time_to_connect(net):
    """A name server that never says a word to questions for IPv6 addresses."""
    server = net.serve(tcp.silent)
    net.dns(dns.for_type(dns.AAAA, dns.silent, dns.answering(dns.Zone({"host.test": ["127.0.0.1"]}))))
    run = net.run(program(WAYS["getaddrinfo"], "host.test", server.port), ESTABLISH="4s", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == "'127.0.0.1'" and seconds < 4 and not run.err, run


def test_a_section_for_a_name(hosts, tmp_path):
    (tmp_path / "netdeadline.conf").write_text("ESTABLISH = 30s\n[destination one.test]\nESTABLISH = 600ms\n")
    run = hosts.run(program(WAYS["getaddrinfo"], "one.test", 80), CONFIG=str(tmp_path / "netdeadline.conf"), LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == "ETIMEDOUT" and 0.5 <= seconds < 5 and len(told(run.err)) == 1, run


def test_observe_ends_nothing(hosts):
    """The kernel gives up a second SYN later, after three seconds."""
    body = "[s := socket.socket(), s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1), s.connect((addresses()[0], port))]"
    run = hosts.run(program(body, "one.test", 80), ESTABLISH="1s", MODE="observe", LOG="stderr")
    result, seconds = json.loads(run.out)
    assert result == "ETIMEDOUT" and seconds > 2, run
    assert len(told(run.err)) == 1 and b"observed=true" in run.err, run


def test_ps_shows_it(hosts):
    by_name = hosts.start(program(WAYS["getaddrinfo"], "dead.test", 80), ESTABLISH="60s", CONNECT="off")
    by_number = hosts.start(program("by_hand([name])", DEAD[1], 80), ESTABLISH="60s")
    polling = hosts.start(program(WAYS["poll"], "one.test", 80), ESTABLISH="60s", CONNECT="off")
    row = waiting(by_name, "connect")
    assert (row["PEER"], row["LIMIT"]) == (f"{DEAD[0]}:80", "ESTABLISH=1m") and re.match(r"\d\.|10\.", row["LEFT"]), row  # its share
    assert waiting(polling, "poll")["LIMIT"] == "ESTABLISH=1m"
    row = waiting(by_number, "connect")
    assert row["LIMIT"] == "CONNECT=10s", row
    changed = netdeadline("set", pid_of(by_number), "ESTABLISH=7s").stdout
    assert changed == b"ESTABLISH: 1m -> 7s\n", changed


CLIENTS = {
    "curl": (["curl", "-sS", "http://twice.test/"], "2500ms"),  # pauses for a second between two addresses
    "wget": (["wget", "-q", "-t1", "-O-", "http://dead.test/"], "1s"),
    "psql": (["psql", "-w", "host=dead.test user=x dbname=x", "-c", "select 1"], "1s"),
    "openssl": (["openssl", "s_client", "-connect", "dead.test:443"], "1s"),
    "ssh": (["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "dead.test", "true"], "1s"),
    "redis-cli": (["redis-cli", "-h", "dead.test", "ping"], "1s"),
}


@pytest.mark.skipif(bool(programs.RUNTIME), reason="some of them do not end under a sanitizer's runtime")
@pytest.mark.parametrize("command, limit", CLIENTS.values(), ids=CLIENTS)
def test_clients(hosts, command, limit):
    with open(hosts.directory / "hosts", "a") as file:
        file.write(f"{DEAD[0]} twice.test\n{DEAD[1]} twice.test\n")
    run = hosts.run(command, ESTABLISH=limit, LOG="stderr")
    expected = 2.5 if limit == "2500ms" else 1
    assert run.status != 0 and not run.cut and expected - 0.1 <= run.elapsed < expected + 5, run
    assert len(told(run.err)) == (2 if "twice" in " ".join(command) else 6) or command[0] == "redis-cli", run
