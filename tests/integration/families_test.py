"""Sockets that are no business of ours: raw, packet, netlink, vsock."""

import json

import pytest

import programs

LIMITS = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "IDLE", "LIFETIME", "ACCEPT", "KEEPALIVE"], "200ms")
LIMITS |= {"MIN_RATE": "1k/200ms", **{f"INBOUND_{name}": "200ms" for name in ("RECV", "SEND", "IDLE", "LIFETIME")}}

# A receive and a wait go on for longer than every limit; the kernel's options are asked by a child without the library.
CLIENT = """
import subprocess
try:
    s = socket.socket(*(int(n) for n in sys.argv[1:4]))
except OSError as e:
    sys.exit(f"no such sockets: {e}")
ended = []
if sys.argv[4] == "waits":
    threading.Thread(target=lambda: ended.append(error(s.recv, 100)), daemon=True).start()
ready = select.select([s], [], [], 1)[0] if sys.argv[4] == "waits" else []
options = '''
import json, socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
names = ["SO_RCVTIMEO", "SO_SNDTIMEO", "SO_KEEPALIVE", "SO_LINGER", "SO_RCVLOWAT", "SO_ERROR"]
print(json.dumps([s.getsockopt(socket.SOL_SOCKET, getattr(socket, name), 16).hex() for name in names] + [s.getblocking()]))
'''
environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
child = subprocess.run([sys.executable, "-c", options, str(s.fileno())], pass_fds=[s.fileno()], env=environment, capture_output=True)
tell([ended, len(ready), json.loads(child.stdout)])
os._exit(0)
"""


@pytest.mark.parametrize("kind, way", [((16, 3, 0), "waits"), ((2, 3, 253), "waits"), ((10, 3, 253), "waits"), ((17, 3, 0), "waits"),
                                       ((40, 1, 0), "asks"), ((38, 5, 0), "asks")],
                         ids=["netlink", "raw", "raw6", "packet", "vsock", "alg"])
def test_untouched(net, kind, way):
    without, under = (net.run(programs.child(CLIENT, *kind, way), library=library, **LIMITS) for library in (False, True))
    if without.status:
        pytest.skip(without.err.decode().splitlines()[-1])
    assert (under.status, under.out) == (0, without.out), (without, under)
    assert json.loads(under.out)[:2] == [[], 0], under
