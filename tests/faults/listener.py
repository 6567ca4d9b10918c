"""The one way in which the fault server listens: a free port, a thread per connection, ended by close().

What a server does with a connection is a behaviour: a function of (connection, stop), where `stop` is an Event that is
set when the server closes. A behaviour that returns has its connection closed in an orderly way; one that waits for
`stop` leaves its peer hanging. Behaviours compose: see tcp.after, tcp.pausing and tls.over_tls.
"""

import contextlib
import socket
import threading


class Listener:
    """A TCP listener whose connections are served by `behaviour`; `port` is the port that was chosen."""

    def __init__(self, behaviour, host="127.0.0.1", port=0, receive_buffer=None, backlog=128):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:  # accepted sockets inherit it: a small one fills soon
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((host, port))
        self.socket.listen(backlog)
        self.host = host
        self.port = self.socket.getsockname()[1]
        self.behaviour = behaviour
        self.stop = threading.Event()
        self.connections = []
        self.accepted = 0
        self.missing = None  # the error of a behaviour that needs a program which is not here
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stop.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.behaviour(connection, self.stop)
        except (FileNotFoundError, PermissionError) as error:
            self.missing = error
        except OSError:
            pass  # a client that gives up is what these servers are for: its resets are no error of ours
        with contextlib.suppress(OSError):
            connection.close()
        with contextlib.suppress(ValueError):
            self.connections.remove(connection)

    def close(self):
        """Ends the listener and every connection; threads that wait in one of them return."""
        self.stop.set()
        for open_socket in [self.socket, *self.connections]:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
