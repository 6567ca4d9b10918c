"""Behaviours of TCP servers that hang their clients, and of their living twins, which only look as if they did."""

import ctypes
import socket

from .listener import Listener

HTTP_PART = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: text/plain\r\n\r\nthe first part, "


def silent(_connection, stop):
    """Accepts, never reads and never says anything."""
    stop.wait()


def part(data=HTTP_PART):
    """Sends `data` once something was asked, then nothing more."""

    def behaviour(connection, stop):
        connection.recv(65536)
        connection.sendall(data)
        stop.wait()

    return behaviour


def greeting(data):
    """Sends `data` without being asked, then nothing more."""

    def behaviour(connection, stop):
        connection.sendall(data)
        stop.wait()

    return behaviour


def drip(data, interval=1.0, head=b""):
    """Sends `head` once something was asked, then `data` a byte each `interval` seconds; then closes."""

    def behaviour(connection, stop):
        connection.recv(65536)
        connection.sendall(head)
        for byte in data:
            if stop.wait(interval):
                return
            connection.sendall(bytes([byte]))

    return behaviour


def after(seconds, behaviour):
    """Does nothing for `seconds`, then goes on as `behaviour`: late, but alive."""

    def late(connection, stop):
        if not stop.wait(seconds):
            behaviour(connection, stop)

    return late


def late_answer(seconds, data):
    """Reads the question at once and sends the whole answer `seconds` later."""

    def behaviour(connection, stop):
        connection.recv(65536)
        if not stop.wait(seconds):
            connection.sendall(data)

    return behaviour


class Paced:
    """A connection whose reads are slow: `pace(taken)` is called before each, with the bytes read so far, and says how many
    bytes it may take."""

    def __init__(self, connection, pace):
        self._connection, self._pace, self._taken = connection, pace, 0

    def recv(self, size):
        data = self._connection.recv(min(size, self._pace(self._taken)))
        self._taken += len(data)
        return data

    def sendall(self, data):
        self._connection.sendall(data)


def pausing(seconds, behaviour, before=1024):
    """As `behaviour`, but once `before` bytes were read nothing more is for `seconds`: the window closes."""

    def paused(connection, stop):
        pauses = iter([seconds])

        def pace(taken):
            if taken < before:
                return before - taken
            stop.wait(next(pauses, 0))
            return 65536

        behaviour(Paced(connection, pace), stop)

    return paused


def crawling(chunk, interval, behaviour):
    """As `behaviour`, but reads at most `chunk` bytes each `interval` seconds."""

    def crawled(connection, stop):
        def pace(_taken):
            stop.wait(interval)
            return chunk

        behaviour(Paced(connection, pace), stop)

    return crawled


def echo(connection, _stop):
    """Sends back what it gets, until the end."""
    while chunk := connection.recv(65536):
        connection.sendall(chunk)


def draining(connection, _stop):
    """Takes whatever comes, and says nothing."""
    while connection.recv(65536):
        pass


class FullBacklog:
    """A port whose queue of connections is full: the kernel drops every further SYN, so that connect waits."""

    def __init__(self, host="127.0.0.1", port=0):
        self.socket = socket.socket()
        self.socket.bind((host, port))
        self.socket.listen(0)
        self.port = self.socket.getsockname()[1]
        self.fillers = []
        while self._fill():
            pass

    def _fill(self):
        filler = socket.socket()
        self.fillers.append(filler)
        filler.settimeout(0.2)
        try:
            filler.connect(self.socket.getsockname())
        except TimeoutError:
            return False
        return True

    def close(self):
        for open_socket in [*self.fillers, self.socket]:
            open_socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def never_reads(**where):
    """A listener whose connections have a receive buffer as small as the kernel allows, and are never read."""
    return Listener(silent, receive_buffer=2048, **where)


class Instead:
    """A stop event whose wait() does something else: what a behaviour is silent for becomes another fault."""

    def __init__(self, stop, act):
        self._stop, self._act = stop, act

    def wait(self, timeout=None):
        return self._stop.wait(timeout) if timeout is not None else self._act()

    def is_set(self):
        return self._stop.is_set()


# connect to no address: the kernel ends the connection with a reset, whatever other descriptors it has.
_LIBC = ctypes.CDLL(None, use_errno=True)


def reset(connection):
    _LIBC.connect(connection.fileno(), b"\0" * 16, 16)


def then_reset(behaviour):
    """As `behaviour` until it falls silent; then the connection is reset: an honest error, for comparison."""

    def honest(connection, stop):
        with connection.dup() as copy:

            def act():
                stop.wait(0.3)  # a reset takes back what was not read yet
                reset(copy)
                raise ConnectionResetError

            behaviour(connection, Instead(stop, act))

    return honest


def then_drip(behaviour, interval=0.2):
    """As `behaviour` until it falls silent; then a byte comes each `interval` seconds, without end."""

    def dripping(connection, stop):
        with connection.dup() as copy:

            def act():
                while not stop.wait(interval):
                    copy.sendall(b" ")

            behaviour(connection, Instead(stop, act))

    return dripping


def then_gone(behaviour, leave):
    """As `behaviour` until it falls silent; then `leave(port)` takes the client's port off the network."""

    def gone(connection, stop):
        port = connection.getpeername()[1]

        def act():
            leave(port)
            stop.wait()

        behaviour(connection, Instead(stop, act))

    return gone


def asked(behaviour):
    """As `behaviour`, once something was asked."""

    def after_question(connection, stop):
        connection.recv(65536)
        behaviour(connection, stop)

    return after_question
