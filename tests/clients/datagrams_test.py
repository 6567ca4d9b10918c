"""Clients over UDP: one whose server does not answer ends by RECV, one whose server takes its time does not."""

import socket
import threading

import pytest

from faults import DnsServer, Zone, dns

PYTHON_ASYNCIO = """
import asyncio, sys
class Client(asyncio.DatagramProtocol):
    def __init__(self): self.end = asyncio.get_running_loop().create_future()
    def datagram_received(self, data, addr): self.end.set_result(data)
    def error_received(self, exc): self.end.set_exception(exc)
async def main():
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=(sys.argv[1], int(sys.argv[2])))
    transport.sendto(b"question")
    print((await client.end).decode())
asyncio.run(main())
"""
PYTHON_SELECTORS = """
import select, socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendto(b"question", (sys.argv[1], int(sys.argv[2])))
select.select([s], [], [])
print(s.recv(99).decode())
"""
PERL = """use IO::Socket::INET; use IO::Select;
my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $ARGV[0], PeerPort => $ARGV[1]);
$s->send("question"); IO::Select->new($s)->can_read;
defined $s->recv(my $got, 99) or die "recv: $!\\n"; print "$got\\n";"""
RUBY = """require "socket"
s = UDPSocket.new; s.connect ARGV[0], ARGV[1].to_i; s.send "question", 0; puts s.recvfrom(99)[0]"""
NODE = """const s = require("dgram").createSocket("udp4");
s.on("error", e => { console.error(e.message); process.exit(1) });
s.on("message", m => { console.log(m.toString()); s.close() });
s.send("question", process.argv[3], process.argv[2])"""
LUA = """local s = require("socket").udp(); s:setpeername(arg[1], arg[2]); s:send("question"); s:settimeout(60)
local got, error = s:receive(); print(got or error); os.exit(got ~= nil)"""

# A program's own patience is longer than the test's; the server speaks DNS, SNMP or anything. Answers have this in them.
CLIENTS = {
    "dig": ("dns", "dig +notcp +tries=1 +timeout=60 +short -p {port} @{host} good.test"),
    "host": ("dns", "host -W 60 -R 1 -t A -p {port} good.test {host}"),
    "nslookup": ("dns", "nslookup -timeout=60 -retry=1 -port={port} -type=a good.test {host}"),
    "snmpget": ("snmp", "snmpget -v2c -c public -t4 -r0 -On {host}:{port} 1.3.6.1.2.1.1.3.0"),
    "python3 asyncio": ("any", "python3 {source} {host} {port}", PYTHON_ASYNCIO),
    "python3 select": ("any", "python3 {source} {host} {port}", PYTHON_SELECTORS),
    "perl": ("any", "perl {source} {host} {port}", PERL),
    "ruby": ("any", "ruby {source} {host} {port}", RUBY),
    "node": ("any", "node {source} {host} {port}", NODE),
    "lua": ("any", "lua5.4 {source} {host} {port}", LUA),
}
ANSWERS = {"dns": b"192.0.2.7", "snmp": b".1.3.6.1.2.1.1.3.0 = NULL", "any": b"question"}
# snmpget tries a receive again until its own time is up.
PATIENT = {"snmpget"}

clients = pytest.mark.parametrize("client", CLIENTS)


class Answering:
    """A server that says what it was asked, this much later; a request of SNMP becomes the response."""

    def __init__(self, after):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.after, self.closed = after, threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.closed.is_set():
            data, sender = self.socket.recvfrom(2000)
            if self.after is not None and data and not self.closed.wait(self.after):
                self.socket.sendto(data.replace(b"public\xa0", b"public\xa2"), sender)

    def close(self):
        self.closed.set()
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def run(net, client, after, **limits):
    speaks, command, *text = CLIENTS[client]
    source = net.directory / "source"
    source.write_text("".join(text))
    if speaks == "dns":
        responder = dns.silent if after is None else dns.late(after, dns.answering(Zone({"good.test": "192.0.2.7"})))
        port = net.open(DnsServer, responder, host="127.0.0.1", port=5300) and 5300
    else:
        port = net.open(Answering, after).port
    argv = [word.format(host="127.0.0.1", port=port, source=source) for word in command.split()]
    return net.run(argv, patience=30, **limits)


@clients
def test_no_answer(net, client, tmp_path):
    log = tmp_path / "log"
    result = run(net, client, None, RECV="300ms", LOG=log)
    lines = log.read_text().splitlines()
    assert result.status != 0, result
    assert lines and all("limit=RECV" in line for line in lines), (result, lines)
    assert len(lines) <= (30 if client in PATIENT else 5), lines


@clients
def test_an_answer_that_takes_its_time(net, client, tmp_path):
    log = tmp_path / "log"
    result = run(net, client, 0.4, RECV="8s", LOG=log)
    assert result.status == 0 and ANSWERS[CLIENTS[client][0]] in result.out, result
    assert not log.exists(), log.read_text()
