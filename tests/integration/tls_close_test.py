"""A TLS close never waits for a write that is stuck in another thread: the VividCortex case."""

import json

import pytest

import programs
from faults import tcp, tls

CLIENT = """
import json, os, socket, ssl, sys, threading, time
port, lock = int(sys.argv[1]), threading.Lock() if sys.argv[2] == "lock" else None
told = {}

def tell(name, call):
    began = time.monotonic()
    try:
        call()
        told[name] = "went well"
    except OSError as error:
        told[name] = type(error).__name__
    told[name + " took"] = time.monotonic() - began

def locked(call):
    if not lock:
        return call()
    with lock:
        return call()

stream = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", port)))
write = threading.Thread(target=tell, args=("write", lambda: locked(lambda: stream.sendall(bytes(50 << 20)))), daemon=True)
write.start()
time.sleep(0.5)
tell("close", lambda: locked(stream.unwrap))
write.join(3)
tell("later", lambda: stream.send(b"more"))
print(json.dumps(told), flush=True)
os._exit(0)
"""


def outcome(net, lock, **limits):
    server = net.serve(tls.over_tls(tcp.silent), receive_buffer=4096)
    result = net.run([programs.PYTHON, "-c", CLIENT, server.port, lock], **limits)
    assert result.status == 0, result
    return json.loads(result.out)


def test_close_ends_a_stuck_write(net):
    """With the default settings, under which neither call has run out of time."""
    told = outcome(net, "free")
    assert told["close"] == "TimeoutError" and told["close took"] < 1, told
    assert told["write"].endswith("Error") and told["write took"] < 2, told
    assert told["later"].endswith("Error") and told["later took"] < 1, told


@pytest.mark.parametrize("limit", ["SEND"])
def test_a_lock_is_freed_by_the_write_s_own_deadline(net, limit):
    told = outcome(net, "lock", **{limit: "1s"})
    assert told["write"].endswith("Error") and 0.9 < told["write took"] < 2, told
    assert told["close"].endswith("Error") and told["close took"] < 2, told
