"""Calls that only the kernel's timers bound: sendfile, splice, sendmmsg, recvmmsg."""

import json

import pytest

import programs
from faults import tcp

CODE = """
import ctypes, errno, json, os, socket, sys, tempfile, time
libc = ctypes.CDLL(None, use_errno=True)
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
f = tempfile.TemporaryFile()
f.truncate(64 << 20)
r, w = os.pipe()
message = ctypes.create_string_buffer(64)

def sendfile():
    while (n := libc.sendfile(s.fileno(), f.fileno(), None, ctypes.c_size_t(64 << 20))) > 0:
        pass
    return n

part = ctypes.create_string_buffer(1 << 20)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(part), 1 << 20)
ctypes.c_void_p.from_buffer(message, 16).value = ctypes.addressof(vector)
ctypes.c_size_t.from_buffer(message, 24).value = 1

def sendmmsg():
    while (n := libc.sendmmsg(s.fileno(), message, 1, 0)) > 0:
        pass
    return n

def splice():
    return libc.splice(s.fileno(), None, w, None, ctypes.c_size_t(100), 0)

def recvmmsg():
    return libc.recvmmsg(s.fileno(), message, 1, 0, None)

began = time.monotonic()
results = []
for _ in range(2):
    n = globals()[sys.argv[2]]()
    results.append((n, errno.errorcode.get(ctypes.get_errno())))
print(json.dumps([time.monotonic() - began, results]))
"""

CALLS = {"sendfile": ("SEND", "EPIPE"), "sendmmsg": ("SEND", "EPIPE"), "splice": ("RECV", "ECONNRESET"),
         "recvmmsg": ("RECV", "ECONNRESET")}


@pytest.mark.parametrize("call", CALLS)
def test_expiry(net, call):
    limit, later = CALLS[call]
    server = net.serve(tcp.silent, receive_buffer=4096)
    result = net.run([programs.PYTHON, "-c", CODE, server.port, call], **{limit: "300ms"})
    assert result.status == 0, result
    took, results = json.loads(result.out)
    assert results == [[-1, "ETIMEDOUT"], [-1, later]] and 0.3 <= took < 1.5, (took, results)
