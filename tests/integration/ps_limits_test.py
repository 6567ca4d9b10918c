"""What `netdeadline ps` says of the limit of a wait (which fires first, its value as it was set, the time left) is what then happens: each
row is compared with the line that the log gets."""

import calendar
import json
import re
import subprocess
import time

import look
import programs
import tlscalls
from faults import dns, tcp, tls
from look import pid_of, ps, until

# A program that makes each of its waits in a thread of its own, on a connection of its own. It tells thread and descriptor of each.
WAITER = """
port, waits = int(sys.argv[1]), {}

def ctypes_message(buffer):
    iov = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), len(buffer))
    return (ctypes.c_size_t * 8)(0, 0, ctypes.addressof(iov), 1, 0, 0, 0, 0), iov

def recvmmsg(s):
    message, kept = ctypes_message(ctypes.create_string_buffer(10))
    libc.recvmmsg(s.fileno(), message, 1, 0, None)

def ppoll(s):
    libc.ppoll(struct.pack("ihh", s.fileno(), select.POLLIN, 0), 1, None, None)

def pselect(s):
    libc.pselect(s.fileno() + 1, (1 << s.fileno()).to_bytes(128, "little"), None, None, None, None)

def wait(kind, s, events, seconds=None):
    if kind == "select":
        return select.select([s] * bool(events & select.POLLIN), [s] * bool(events & select.POLLOUT), [], seconds)
    p = getattr(select, kind)()
    p.register(s, events)
    while not p.poll(seconds * 1000 if seconds and kind == "poll" else seconds):
        pass

def pieces(kind, s, events):
    for _ in range(200):
        if any(ready(kind, s, events, 0.2)):
            return

def pieces_of_epoll(s):
    with select.epoll() as e:
        e.register(s, select.EPOLLIN)
        while not e.poll(0.2):
            pass

def own(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.2))
    while error(lambda: s.recv(1)) == "EAGAIN":
        pass

INPUT = {
    "recv": lambda s: s.recv(1),
    "read": lambda s: os.read(s.fileno(), 1),
    "recvmsg": lambda s: s.recvmsg(1),
    "recvmmsg": recvmmsg,
    "recv own": own,
    "splice": lambda s: libc.splice(s.fileno(), None, os.pipe()[1], None, 1, 0),
}
SETS = {
    "poll": lambda s: wait("poll", s, select.POLLIN),
    "poll pieces": lambda s: pieces("poll", s, select.POLLIN),
    "ppoll": ppoll,
    "select": lambda s: wait("select", s, select.POLLIN),
    "select pieces": lambda s: pieces("select", s, select.POLLIN),
    "pselect": pselect,
    "epoll_wait": lambda s: wait("epoll", s, select.EPOLLIN),
    "epoll_wait edge": lambda s: wait("epoll", s, select.EPOLLIN | select.EPOLLET),
    "epoll_wait pieces": pieces_of_epoll,
}
def sendfile(s):
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 28)
        os.sendfile(s.fileno(), file.fileno(), 0, 1 << 28)

def splice_out(s):
    a, b = os.pipe()
    os.write(b, bytes(1000))
    fill(s)
    while libc.splice(a, None, s.fileno(), None, 1000, 0) > 0:
        os.write(b, bytes(1000))

OUTPUT = {
    "send": lambda s: s.sendall(bytes(1 << 28)),
    "write": lambda s: os.write(s.fileno(), bytes(1 << 28)),
    "sendmsg": lambda s: s.sendmsg([bytes(1 << 28)]),
    "sendfile": sendfile,
    "splice out": splice_out,
    "poll out": lambda s: fill(s) or wait("poll", s, select.POLLOUT),
    "select out": lambda s: fill(s) or wait("select", s, select.POLLOUT),
    "epoll_wait out": lambda s: fill(s) or wait("epoll", s, select.EPOLLOUT),
}

def run(name, what, s):
    waits[name] = [threading.get_native_id(), s.fileno()]
    error(what, s)
    if s.type == socket.SOCK_STREAM:
        error(lambda: s.recv(1))  # as a program that was woken does

def to_server(s):
    s.connect(("127.0.0.1", port))

def all_of(kinds, make=socket.socket, begin=to_server):
    sockets = [make() for _ in kinds]
    print("ready", flush=True)
    sys.stdin.readline()
    for s in sockets:
        begin(s)
    threads = [threading.Thread(target=run, args=(*kind, s), daemon=True) for kind, s in zip(kinds.items(), sockets)]
    for thread in threads:
        thread.start()
    while len(waits) < len(kinds):
        time.sleep(0.01)
    tell(waits)
    for thread in threads:
        thread.join(20)
"""

# Whatever the load, a limit fires no sooner than ps has said, and not much later.
EARLY, LATE = 0.4, 4

# A limit that fires after ps has looked at all programs of a test, also on a loaded machine.
LIMIT = "10s" if programs.RUNTIME else "5s"


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m)", text))


def lines_of(program):
    """The log, line by line, as the program ends."""
    found = []
    for line in program.process.stderr.read().decode().splitlines():
        pairs = dict(re.findall(r"(\S+?)=(\"[^\"]*\"|\S+)", line))
        if "limit" in pairs:
            at = re.match(r"(.*)\.(\d+)Z", pairs["time"])
            pairs["at"] = calendar.timegm(time.strptime(at[1], "%Y-%m-%dT%H:%M:%S")) + int(at[2]) / 1000
            found.append(pairs)
    return found


def rows_of(programs):
    """The rows of calls, by thread. PEER and LIMIT may have blanks."""
    rows = {}
    for line in look.netdeadline("ps", *map(pid_of, programs)).stdout.decode().splitlines()[1:]:
        _, thread, _, call, fd, rest = line.split(None, 5)
        peer, *last = re.fullmatch(r"(.*?)  +(\S+)  +(\S+)  +(\S.*)", rest).groups()
        if call != "-":
            rows[int(thread)] = dict(zip(("CALL", "FD", "PEER", "WAITING", "LEFT", "LIMIT"), (call, fd, peer, *last)))
    return rows


class Waiter:
    """A program of which `limit` ends every wait; ps shows that as `shown`, or with its value as it was set."""

    def __init__(self, net, limit, body, *arguments, shown=None, **limits):
        self.program = net.start(programs.child(WAITER + body, *(arguments or [0])), stdin=subprocess.PIPE, LOG="stderr", **limits)
        self.limit, self.shown, self.seen = limit, shown, {}

    def line(self):
        return self.program.process.stdout.readline()

    def go(self):
        self.program.process.stdin.write(b"\n")

    def take(self, rows, now):
        """Notes the rows; one without a limit only until there is a better one: a busy host may have begun the wait just now."""
        for name, (thread, _) in self.waits.items():
            if thread in rows and (name not in self.seen or self.seen[name][0]["LIMIT"] == "-"):
                self.seen[name] = (rows[thread], now)
        return len(self.seen) == len(self.waits) and all(row["LIMIT"] != "-" for row, _ in self.seen.values())

    def wrong(self):
        """The waits of which ps has said something else than what has happened then."""
        lines = {int(line["fd"]): line for line in lines_of(self.program)}
        for name, (_, fd) in self.waits.items():
            row, looked = self.seen.get(name, (None, 0))
            line = lines.get(fd)
            if not row or not line:
                yield name, "no row" if not row else "no line", row, line
                continue
            fires = looked + seconds(row["LEFT"]) if row["LEFT"] != "-" else 0
            if (row["LIMIT"] != (self.shown or f"{line['limit']}={line['timeout']}") or line["limit"] != self.limit
                    or not fires - EARLY <= line["at"] <= fires + LATE):
                yield name, row["CALL"], row["LEFT"], row["LIMIT"], round(line["at"] - looked, 2), line["limit"], line["timeout"]


def seen(waiters, meanwhile=lambda: None):
    """Lets the programs begin their waits at once, and looks at them. A wait in pieces may be between two of them."""
    def look_again():
        now, rows = time.time(), rows_of(waiter.program for waiter in waiters)
        return all([waiter.take(rows, now) for waiter in waiters])

    for waiter in waiters:
        assert waiter.line() == b"ready\n"
    meanwhile()
    for waiter in waiters:
        waiter.go()
    for waiter in waiters:
        waiter.waits = json.loads(waiter.line())
    time.sleep(0.7)
    until(look_again, 1.5)
    return waiters


def check(waiters, **how):
    wrong = [(waiter.limit, *row) for waiter in seen(waiters, **how) for row in waiter.wrong()]
    assert not wrong, "\n".join(map(str, wrong))


# At most ten lines a second are logged: not all ways to wait are in one program.
KINDS = ["INPUT", "SETS"]


def test_input(net):
    server = net.serve(tcp.silent)
    limits = {"RECV": {}, "IDLE": {"RECV": "20s"}, "LIFETIME": {"RECV": "20s", "IDLE": "20s"}}
    check([Waiter(net, limit, f"all_of({kinds})", server.port, **{limit: LIMIT}, **others)
           for limit, others in limits.items() for kinds in KINDS])


def test_output(net):
    server = net.open(tcp.never_reads)
    small = net.serve(tcp.silent, receive_buffer=2048)
    lingers = """
def lingers(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    s.send(b"x" * 30000)
    s.close()
all_of({"close": lingers})
"""
    check([*(Waiter(net, limit, "all_of(OUTPUT)", server.port, **{limit: LIMIT}) for limit in ("SEND", "IDLE")),
           Waiter(net, "SEND", lingers, small.port, SEND="3500ms")])


def test_peers_that_are_gone(net):
    """UNACKED runs once something is outstanding; KEEPALIVE ends what has nothing outstanding, when its probes have gone on for UNACKED."""
    server = net.serve(tcp.silent)
    kinds = ["{name: INPUT[name] for name in INPUT if name not in ('recvmmsg', 'splice')}", "SETS"]
    check([*(Waiter(net, "UNACKED", f"all_of({some}, make=dial, begin=lambda s: s.send(b'x'))", server.port, UNACKED=LIMIT, KEEPALIVE="off")
             for some in kinds),
           *(Waiter(net, "KEEPALIVE", f"all_of({some}, make=dial, begin=id)", server.port, UNACKED=LIMIT, KEEPALIVE="1s") for some in kinds)],
          meanwhile=lambda: net.drop(f"tcp dport {server.port}"))


CONNECTS = """
def begin(s):
    if s.getblocking():
        return
    s.connect_ex((sys.argv[2], 80))

def plain(s):
    s.connect((sys.argv[2], 80))

made = iter([True] + [False] * 9)
def make():
    s = socket.socket()
    s.setblocking(next(made))
    return s

all_of({"connect": plain, "poll": lambda s: wait("poll", s, select.POLLOUT), "poll pieces": lambda s: pieces("poll", s, select.POLLOUT),
        "select": lambda s: wait("select", s, select.POLLOUT), "epoll_wait": lambda s: wait("epoll", s, select.EPOLLOUT | select.EPOLLET),
        "recv": lambda s: s.setblocking(True) or s.recv(1)}, make, begin)
"""
ACCEPTS = """
all_of({"accept": lambda s: s.accept(), **{name: SETS[name] for name in ("poll", "poll pieces", "select", "epoll_wait")}},
       lambda: socket.create_server(("127.0.0.1", 0)), id)
"""
DATAGRAMS = """
sink = udp(("127.0.0.1", 9999))
def asked():
    s = udp()
    s.connect(("127.0.0.1", 9999))
    return s
all_of({name: {**INPUT, **SETS}[name] for name in ("recv", "recvmsg", "recvmmsg", "recv own", "poll", "select", "epoll_wait", "poll pieces")},
       asked, lambda s: s.send(b"x"))
"""
ACCEPTED = """
pairs = [tcp_pair() for _ in SETS]
accepted = iter([pair[1] for pair in pairs])
all_of(SETS, lambda: next(accepted), id)
"""
DRIPS = """
def read_on(s):
    while s.recv(1000):
        pass
def poll_on(s):
    while poll_in(s, timeout=10) and s.recv(1000):
        pass
all_of({"recv": read_on, "poll": poll_on})
"""


def test_other_waits(net):
    """Connections under way and accepted ones, listeners, datagrams, those that move too slowly."""
    drips = net.serve(tcp.drip(bytes(1000), 0.2))
    check([Waiter(net, "CONNECT", CONNECTS, 0, net.blackhole(), CONNECT=LIMIT),
           Waiter(net, "ACCEPT", ACCEPTS, ACCEPT=LIMIT),
           Waiter(net, "RECV", DATAGRAMS, RECV=LIMIT),
           Waiter(net, "INBOUND_RECV", ACCEPTED, INBOUND_RECV=LIMIT),
           Waiter(net, "MIN_RATE", DRIPS, drips.port, MIN_RATE=f"1k/{LIMIT}", shown=f"MIN_RATE=1024/{LIMIT}")])


def tls_calls():
    """A whole handshake, a read, a write and the end of a session, by one blocking call or in an event loop: library, way, server, the limit
    that ends it, steps."""
    for library in tlscalls.LIBRARIES:
        end = ["shutdown", "bye"] if library == "openssl" else ["bye"]
        for way in ("block", "poll", "epoll"):
            yield library, way, "plain", "TLS_HANDSHAKE", "handshake"
            yield library, way, "silent", "RECV", "handshake", "recv"
            yield library, way, "silent", "TLS_SHUTDOWN", "handshake", *end
        yield library, "block", "plain", "LIFETIME", "handshake"
        yield library, "block", "full", "SEND", "handshake", *["upload"] * 700


def test_tls(net):
    servers = {"plain": net.serve(tcp.silent), "silent": net.serve(tls.over_tls(tcp.silent)),
               "full": net.serve(tls.over_tls(tcp.silent), receive_buffer=2048)}
    calls, wrong = list(tls_calls()), []
    started = [net.start([tlscalls.TLS, library, way, servers[server].port, *steps], LOG="stderr", **{"TLS_HANDSHAKE": "15s", limit: LIMIT})
               for library, way, server, limit, *steps in calls]
    time.sleep(1)
    looked, rows = time.time(), rows_of(started)
    for (library, way, _, limit, *steps), program in zip(calls, started):
        row, line = rows.get(pid_of(program)), lines_of(program)[0]
        fires = looked + seconds(row["LEFT"]) if row and row["LEFT"] != "-" else 0
        if not row or (row["LIMIT"], line["limit"]) != (f"{limit}={LIMIT}", limit) or not fires - EARLY <= line["at"] <= fires + LATE:
            wrong.append((library, way, steps[-1], row, line))
    assert not wrong, "\n".join(map(str, wrong))


SEVERAL = """
def several(s, e):
    others = [dial(sys.argv[2]) for _ in range(2)]
    for one in [others[0], s, others[1]]:
        e.register(one, select.EPOLLIN)
    e.poll()
all_of({"epoll_wait": lambda s: several(s, select.epoll()), "poll": lambda s: several(s, select.poll())}, begin=lambda s: to_server(s) or s.send(b"x"))
"""


def test_the_first_of_several(net):
    """The one whose limit fires first is shown; with MODE=observe, too. What nothing ends has no limit."""
    server, other = net.serve(tcp.silent), net.serve(tcp.silent)
    several = Waiter(net, "RECV", SEVERAL, server.port, other.port, RECV=LIMIT)
    observed = Waiter(net, "RECV", "all_of({'recv': INPUT['recv'], 'poll': SETS['poll']})", server.port, RECV=LIMIT, MODE="observe")
    endless = Waiter(net, None, "all_of(SETS)", server.port, KEEPALIVE="off")
    seen([several, observed, endless])
    assert {(row["LEFT"], row["LIMIT"]) for row, _ in endless.seen.values()} == {("-", "-")}, endless.seen
    for row, _ in several.seen.values():
        assert row["PEER"] == f"127.0.0.1:{server.port} (+2)", row
    assert not list(several.wrong())
    for row, _ in observed.seen.values():
        assert row["LIMIT"] == f"RECV={LIMIT} (observed)" and 0 < seconds(row["LEFT"]) < seconds(LIMIT) - 0.5, row


def test_lookup(net):
    net.dns(dns.silent)
    program = net.start(["getent", "ahosts", "host.test"], RESOLVE=LIMIT, LOG="stderr")
    looked, row = until(lambda: next(((time.time(), row) for row in ps(pid_of(program)) if row["CALL"] == "getaddrinfo"), None))
    line, = lines_of(program)
    fires = looked + seconds(row["LEFT"])
    assert row["LIMIT"] == f"RESOLVE={LIMIT}" and fires - EARLY - 0.3 <= line["at"] <= fires + LATE, (row, line)
