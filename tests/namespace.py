"""A private network and private /etc files for one test, so that tests need no fixed ports and can run side by side.

Loopback is up with 127.0.0.0/8, ::1 and, because AI_ADDRCONFIG does not count those, 192.0.2.1 and 2001:db8::1. Send
buffers are small, so that an upload to a peer that does not read stops after some 100 KB.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import subprocess

import programs

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

ETC = {
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "resolv.conf": "nameserver 127.0.0.1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}

# One process for all addresses, and one for all mounts: half of what a namespace costs (10 ms of a processor, for each test).
# A file can only be mounted over one that is there. Where one is missing (debootstrap makes no hosts), a copy of /etc stands in.
SETUP = """
set -e
ip -batch - <<END
link set lo up
address add 192.0.2.1/32 dev lo
address add 192.0.2.66/32 dev lo
address add 2001:db8::1/128 dev lo nodad
END
echo '4096 16384 65536' >/proc/sys/net/ipv4/tcp_wmem
missing=
for file in hosts resolv.conf nsswitch.conf; do [ -e "/etc/$file" ] || missing="$missing $file"; done
if [ -n "$missing" ]; then
    mkdir "$1/etc"
    cp -a /etc/. "$1/etc/" 2>/dev/null || :
    for file in $missing; do rm -f "$1/etc/$file" && : >"$1/etc/$file"; done
    mount --bind "$1/etc" /etc
fi
for file in hosts resolv.conf nsswitch.conf; do echo "$1/$file /etc/$file none bind"; done >"$1/fstab"
mount -a -T "$1/fstab"
echo ready
exec cat
"""

BLACKHOLE = "192.0.2.66"


def _unshare(flags):
    if LIBC.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def _become_root():
    user, group = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER)
    for name, text in {"setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"}.items():
        pathlib.Path("/proc/self", name).write_text(text)
    # A thread can go back only to a network that belongs to its own user namespace (see inside()).
    _unshare(CLONE_NEWNET)


def become_root():
    """Makes an ordinary user root of a user namespace, in which private networks can be made, where the kernel allows that.

    Called before there are threads, which the kernel would refuse it for; children inherit it. A child tries first: some
    kernels let the namespace be made, but give no rights in it.
    """
    if os.geteuid() == 0 or not all(map(programs.which, ["unshare", "ip"])):
        return
    child = os.fork()
    if child == 0:
        try:
            _become_root()
            _unshare(CLONE_NEWNS)
            os._exit(0)
        except OSError:
            os._exit(1)
    if os.waitpid(child, 0)[1] == 0:
        _become_root()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def has_other_users():
    """A user namespace of an ordinary user has no other user in it."""
    ranges = [map(int, line.split()) for line in pathlib.Path("/proc/self/uid_map").read_text().splitlines()]
    return os.geteuid() == 0 and any(first <= 65534 < first + count for first, _, count in ranges)


class NoNetwork(RuntimeError):
    """A private network cannot be made."""


def need_network():
    """Raises an error where no private network can be made, for which a test is skipped (conftest.py)."""
    for tool in ["unshare", "nsenter", "ip", "mount"]:
        programs.need(tool)
    if error := _network_error():
        raise NoNetwork(error)


@functools.lru_cache(maxsize=1)
def _network_error():
    return subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True).stderr.strip()


class Namespace:
    """Lives as long as its anchor process, which ends with this object or with the test run."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        for name, text in ETC.items():
            self.etc(name, text)
        need_network()
        self._anchor = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", SETUP, "sh", self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._anchor.stdout.readline() != "ready\n":
            raise NoNetwork(f"no private network: {self._anchor.communicate()[1].strip()}")

    def etc(self, name, text):
        """Replaces /etc/`name` in here."""
        (self.directory / name).write_text(text)

    def command(self, argv):
        """The command line that runs `argv` in here."""
        programs.need(argv[0])
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
