"""A name server whose answers follow from the name that is asked for, so that a random name is a random answer.

The first label is a list of words parted by "-": a3 (three A records), q2 (two AAAA), c2 (behind two CNAMEs), nx, nd
(no data), sf, rf, fe, ni (error codes), hd (the code in a bare header), tc (truncated: TCP has the rest), tp (truncated
after a record), ov (a datagram of any size), om (odd case),
wo (records of another owner), ci (a CNAME to what is no host's name), ch (records of another class), bl (an A of five
bytes), cu (cut off in the middle), mp (mapped AAAA), ns4, ns6 (silence on A, on AAAA), la7 (late by 0.7 s), ts (truncated, and silent over TCP), lie (a wrong
id first). 127.0.0.2 to 127.0.0.4 and ::1 answer, 127.0.0.5 and 127.0.0.6 never do.
"""

import contextlib
import hashlib
import ipaddress
import random
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

RANGES4 = ["198.51.100.0/24", "192.0.2.0/24", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"]
RANGES6 = ["2001:db8::/64", "2001:db8:1::/48", "fe80::/64", "fec0::/48", "fd00::/8", "2002::/16", "2001::/32", "::/96"]
CODES = {"fe": 1, "sf": 2, "nx": 3, "ni": 4, "rf": 5}


def labels(packet, at=12):
    names = []
    while packet[at]:
        names.append(packet[at + 1:at + 1 + packet[at]])
        at += 1 + packet[at]
    return names, at + 1


def wire(names):
    return b"".join(bytes([len(n)]) + n for n in names) + b"\0"


def record(owner, rtype, data, rclass=1):
    return owner + struct.pack(">HHIH", rtype, rclass, 60, len(data)) + data


def addresses(seed, count, version):
    dice = random.Random(hashlib.sha256(seed).digest())
    for _ in range(count):
        net = ipaddress.ip_network(dice.choice(RANGES4 if version == 4 else RANGES6))
        yield (net[dice.randrange(1, min(net.num_addresses, 1 << 60) - 1)]).packed


# Names of addresses by the last number: no host's, cut off, a pointer to nowhere, the root.
STRANGE = {5: wire([b"-ptr", b"test"]), 6: b"\x05ab", 7: b"\xc0\xff", 8: b"\0"}


class Answer:
    def __init__(self, query):
        self.names, end = labels(query)
        self.rtype, self.rclass = struct.unpack(">HH", query[end:end + 4])
        self.query, self.question = query, query[12:end + 4]
        words = self.names[0].lower().decode("latin1").split("-") if self.names else []
        matches = (re.fullmatch(r"([a-z]+)(\d*)", w) for w in words)
        self.words = {m[1]: int("0" + m[2]) for m in matches if m}
        self.code = next((CODES[w] for w in self.words if w in CODES), 0)

    def silent(self):
        return (self.rtype == 1 and self.words.get("ns") == 4) or (self.rtype == 28 and self.words.get("ns") == 6)

    def records(self):
        owner, out = wire(self.names), []
        if "om" in self.words:
            owner = owner.swapcase() if not any(c < 64 and chr(c).isalpha() for c in owner) else owner
        for i in range(min(self.words.get("c", 0), 5)):
            target = wire([b"x" + bytes(str(i), "ascii")] + self.names[1:])
            if "ci" in self.words and i == 0:
                target = wire([b"ba*d"] + self.names[1:])
            out.append(record(owner, 5, target))
            owner = target
        if "wo" in self.words:
            owner = wire([b"other"] + self.names[1:])
        rclass = 3 if "ch" in self.words else 1
        if self.rtype == 12:
            name = wire([b"name-" + b"".join(self.names[:1]), b"ptr", b"test"])
            last = int(self.names[0]) % 16 if self.names and self.names[0].isdigit() else 0
            out.append(record(owner, 12, STRANGE.get(last, name)))
        if self.rtype == 1 and "a" in self.words:
            for a in addresses(self.question, self.words["a"], 4):
                out.append(record(owner, 1, a + b"x" if "bl" in self.words else a, rclass))
        if self.rtype == 28 and "q" in self.words:
            for a in addresses(self.question, self.words["q"], 6):
                out.append(record(owner, 28, b"\0" * 10 + b"\xff\xff" + a[-4:] if "mp" in self.words else a, rclass))
        if self.rtype == 16 and "t" in self.words:
            out += [record(owner, 16, b"\x05hello")] * self.words["t"]
        return out

    def bytes(self, tcp):
        if self.silent():
            return None
        if "hd" in self.words and self.code and not tcp:
            return self.query[:2] + struct.pack(">HHHHH", 0x8180 | self.code, 0, 0, 0, 0)
        records = [] if self.code or "nd" in self.words else self.records()
        body, flags = b"".join(records), 0x8180 | self.code
        if "cu" in self.words:
            body = body[:len(body) * 2 // 3]
        if not tcp and "tp" in self.words and records:
            return self.query[:2] + struct.pack(">HHHHH", flags | 0x200, 1, 1, 0, 0) + self.question + records[0]
        # as real servers do, what does not fit into a plain datagram is cut at a record
        if not tcp and "ov" not in self.words and ("tc" in self.words or "ts" in self.words or len(body) + len(self.question) > 500):
            return self.query[:2] + struct.pack(">HHHHH", flags | 0x200, 1, 0, 0, 0) + self.question
        return self.query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + self.question + body


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, sock = self.request
        question = Answer(packet)
        answer = question.bytes(tcp=False)
        time.sleep(question.words.get("la", 0) / 10)
        if answer and "lie" in question.words:
            sock.sendto(bytes([answer[0] ^ 1]) + answer[1:-4] + b"\x06\x06\x06\x06", self.client_address)
        if answer:
            sock.sendto(answer, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):  # some close the connection without a word
            while size := self.rfile.read(2):
                question = Answer(self.rfile.read(struct.unpack(">H", size)[0]))
                answer = question.bytes(tcp=True)
                if answer and "ts" not in question.words:
                    self.wfile.write(struct.pack(">H", len(answer)) + answer)
                    self.wfile.flush()


def serve(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class TcpServer(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads, address_family = True, True, family
        request_queue_size = 64

    class UdpServer(socketserver.ThreadingUDPServer):
        daemon_threads, max_packet_size, address_family = True, 4096, family

    for server in UdpServer((host, 53), Udp), TcpServer((host, 53), Tcp):
        threading.Thread(target=server.serve_forever, daemon=True).start()


def be_silent(host):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    for s in silent:
        s.bind((host, 53))
    silent[1].listen(64)
    return silent


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # a host without IPv4
        kept = [be_silent(host) for host in ("127.0.0.5", "127.0.0.6")]
        for number in range(2, 5):
            serve(f"127.0.0.{number}")
    with contextlib.suppress(OSError):  # a host without IPv6
        serve("::1")
    sys.exit(subprocess.call(sys.argv[1:]))
