"""A private network and private /etc files for one test, so that tests need no fixed ports and can run side by side.

Loopback is up with 127.0.0.0/8, ::1 and, because AI_ADDRCONFIG does not count those, 192.0.2.1 and 2001:db8::1. Send
buffers are small, so that an upload to a peer that does not read stops after some 100 KB.
"""

import contextlib
import ctypes
import pathlib
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000

ETC = {
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "resolv.conf": "nameserver 127.0.0.1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}

SETUP = """
set -e
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 192.0.2.66/32 dev lo
ip address add 2001:db8::1/128 dev lo nodad
echo '4096 16384 65536' >/proc/sys/net/ipv4/tcp_wmem
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
echo ready
exec cat
"""

BLACKHOLE = "192.0.2.66"


class Namespace:
    """Lives as long as its anchor process, which ends with this object or with the test run."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        for name, text in ETC.items():
            self.etc(name, text)
        self._anchor = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", SETUP, "sh", self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._anchor.stdout.readline() != "ready\n":
            raise RuntimeError(f"no private network: {self._anchor.communicate()[1]}")

    def etc(self, name, text):
        """Replaces /etc/`name` in here."""
        (self.directory / name).write_text(text)

    def command(self, argv):
        """The command line that runs `argv` in here."""
        return ["nsenter", "--target", str(self._anchor.pid), "--net", "--mount", "--", *map(str, argv)]

    def do(self, *argv):
        subprocess.run(self.command(argv), check=True, capture_output=True)

    def cover(self, path, text):
        """Puts a file with `text` over an existing file, in here only."""
        cover = self.directory / path.strip("/").replace("/", "-")
        cover.write_text(text)
        self.do("mount", "--bind", cover, path)

    def drop(self, rule):
        """Drops the incoming packets that match an nft rule, without a word to the sender."""
        self.do("nft", f"add table inet faults; add chain inet faults in {{ type filter hook input priority 0; }}; "
                       f"add rule inet faults in {rule} drop")

    def undrop(self):
        self.do("nft", "delete table inet faults")

    def blackhole(self):
        """An address whose SYNs are dropped."""
        self.drop(f"ip daddr {BLACKHOLE}")
        return BLACKHOLE

    @contextlib.contextmanager
    def inside(self):
        """Sockets made by this thread under `with` belong to the private network, wherever they are used later."""
        with open("/proc/self/ns/net") as ours, open(f"/proc/{self._anchor.pid}/ns/net") as theirs:
            self._enter(theirs)
            try:
                yield
            finally:
                self._enter(ours)

    @staticmethod
    def _enter(namespace):
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def close(self):
        self._anchor.stdin.close()
        self._anchor.wait(10)
        self._anchor.stdout.close()
        self._anchor.stderr.close()
