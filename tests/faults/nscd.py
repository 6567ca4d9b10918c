"""A name service cache daemon, as far as libc asks one for hosts: a cache of its own, and what it does not know."""

import contextlib
import os
import socket
import struct
import threading
import time

BYNAME, BYNAME6, BYADDR, BYADDR6, ADDRESSES = HOSTS = 4, 5, 6, 7, 14
VERSION = 2


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Nscd:
    """`hosts`: the addresses and aliases of each name. `trouble`: what it does instead of an answer ("silent", "closes",
    "half", "disabled"); `error`: its h_errno for a name that it does not know. `late`: the seconds after which an answer
    is sent, of which the first `early` bytes are sent at once. `asked` collects (kind, key)."""

    def __init__(self, path, hosts, trouble=None, error=1, late=0, early=0):
        self.hosts, self.trouble, self.error, self.late, self.early, self.asked = hosts, trouble, error, late, early, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        self.socket.listen(64)
        self.kept = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError, struct.error):
            data = connection.recv(4096)
            _, kind, size = struct.unpack("iii", data[:12])
            key = data[12:12 + size]
            if kind not in HOSTS:
                connection.sendall(struct.pack("6i", VERSION, -1, 0, 0, 0, 0))  # not cached
            else:
                self.asked.append((kind, key.hex() if kind in (BYADDR, BYADDR6) else key.rstrip(b"\0").decode()))
                if self.trouble == "silent":
                    self.kept.append(connection)
                    return
                if self.trouble != "closes":
                    reply = self._reply(kind, key)
                    connection.sendall(reply[:self.early])
                    time.sleep(self.late)
                    connection.sendall(reply[self.early:len(reply) // 2] if self.trouble == "half" else reply[self.early:])
        connection.close()

    def _reply(self, kind, key):
        found = -1 if self.trouble == "disabled" else 0
        if kind == ADDRESSES:
            name = key.rstrip(b"\0").decode()
            if found or name not in self.hosts:
                return struct.pack("6i", VERSION, found, 0, 0, 0, self.error)
            addresses = [packed(address) for address in self.hosts[name][0]]
            canonical = self.hosts[name][1][0].encode() + b"\0"
            return (struct.pack("6i", VERSION, 1, len(addresses), sum(map(len, addresses)), len(canonical), 0) + b"".join(addresses)
                    + bytes(socket.AF_INET if len(address) == 4 else socket.AF_INET6 for address in addresses) + canonical)
        length = 16 if kind in (BYNAME6, BYADDR6) else 4
        names, addresses = self._host(kind, key, length)
        if found or not addresses:
            return struct.pack("8i", VERSION, found, 0, 0, -1, -1, 0, self.error)
        name, *aliases = [text.encode() + b"\0" for text in names]
        family = socket.AF_INET if length == 4 else socket.AF_INET6
        return (struct.pack("8i", VERSION, 1, len(name), len(aliases), family, length, len(addresses), 0) + name
                + b"".join(struct.pack("I", len(alias)) for alias in aliases) + b"".join(addresses) + b"".join(aliases))

    def _host(self, kind, key, length):
        for name, (addresses, names) in self.hosts.items():
            fitting = [packed(address) for address in addresses if len(packed(address)) == length]
            if kind in (BYADDR, BYADDR6) and key in fitting:
                return names, [key]
            if kind in (BYNAME, BYNAME6) and key.rstrip(b"\0").decode() == name:
                return names, fitting
        return [], []

    def close(self):
        self.socket.close()
        for connection in self.kept:
            connection.close()
