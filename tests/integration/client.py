"""What the programs that tests start as children share. programs.child() lets each begin with all of it imported, so that its own
lines are only what it is about. It is given the port of the test's server as its first argument, and tells what it found in a line of JSON."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)


def dial(port=None):
    """A connection to the test's server."""
    return socket.create_connection(("127.0.0.1", int(port or sys.argv[1])))


def udp(address=None, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if address:
        s.bind(address)
    return s


def tcp_pair():
    """The two ends of a connection within the program: the connected and the accepted one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return socket.create_connection(listener.getsockname()), listener.accept()[0]


def tls(plain, latest=None, **how):
    """A TLS client on a connection, which believes every certificate; `latest` is the newest version that it speaks."""
    import ssl  # takes longer than all others together
    context = ssl._create_unverified_context()
    if latest:
        context.maximum_version = latest
    return context.wrap_socket(plain, **how)


def error(call, *arguments):
    """What a call gives, as text, or the name of its error."""
    try:
        return repr(call(*arguments))
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__)


def timed(call):
    """What a call gives, and the seconds it takes."""
    began = time.monotonic()
    return call(), time.monotonic() - began


def timeval(seconds):
    """The value of SO_RCVTIMEO and SO_SNDTIMEO."""
    return struct.pack("ll", int(seconds), round(seconds % 1 * 1_000_000))


def fill(s):
    """Sends until there is no room."""
    with contextlib.suppress(BlockingIOError):
        while True:
            s.send(bytes(65536), socket.MSG_DONTWAIT)


def ready(kind, s, events, seconds):
    """What a wait of a kind (poll, epoll, select) for one socket shows: a list of (descriptor, events), of sockets for select."""
    if kind == "select":
        return sum(select.select([s] * bool(events & select.POLLIN), [s] * bool(events & select.POLLOUT), [], seconds)[:2], [])
    p = getattr(select, kind)()
    p.register(s, events)
    return p.poll(seconds * 1000 if kind == "poll" else seconds)


def with_input(sockets, events):
    shown = {fd for fd, flags in events if flags & select.POLLIN}
    return [s for s in sockets if (s if isinstance(s, int) else s.fileno()) in shown]


def poll_in(*sockets, timeout=3):
    """The sockets of which poll shows input, as the next two of theirs."""
    p = select.poll()
    for s in sockets:
        p.register(s, select.POLLIN)
    return with_input(sockets, p.poll(timeout * 1000))


def select_in(*sockets, timeout=3):
    return select.select(sockets, [], [], timeout)[0]


def epoll_in(*sockets, timeout=3, flags=0):
    with select.epoll() as e:
        for s in sockets:
            e.register(s, select.EPOLLIN | flags)
        return with_input(sockets, e.poll(timeout))


def tell(what):
    """The outcome, as one line of JSON."""
    print(json.dumps(what), flush=True)
