"""A private network with the means to serve and to run programs in it."""

import contextlib
import json

import programs
from faults import DnsServer, Listener, Zone, dns
from namespace import Namespace


class Net(Namespace):
    """A private network with the means to serve and to run programs in it."""

    def __init__(self, directory, stack):
        super().__init__(directory)
        stack.callback(self.close)
        self._stack = stack
        self.opened = []

    def open(self, make, *args, **options):
        """Makes something that has sockets in here, and closes it when the test ends."""
        with self.inside():
            thing = make(*args, **options)
        self._stack.callback(thing.close)
        self.opened.append(thing)
        return thing

    def serve(self, behaviour, **options):
        return self.open(Listener, behaviour, **options)

    def names(self, zone=None, host="127.0.0.1", **options):
        """A healthy name server for `zone` on port 53."""
        return self.open(DnsServer, dns.answering(Zone(zone)), host=host, port=53, **options)

    def dns(self, udp, tcp=None, host="127.0.0.1"):
        return self.open(DnsServer, udp, tcp, host=host, port=53)

    # `stdin` is what subprocess takes, or a function that opens a file.
    def start(self, argv, library=True, variables=None, stdin=None, cwd=None, **limits):
        env = programs.environment(library, **limits)
        env.update(variables or {})
        with stdin() if callable(stdin) else contextlib.nullcontext(stdin or programs.subprocess.DEVNULL) as source:
            program = programs.Program(argv, self, env, source, cwd)
        self._stack.callback(program.process.wait, 10)
        self._stack.callback(program.kill)
        return program

    def run(self, argv, patience=programs.PATIENCE, **options):
        return self.start(argv, **options).finish(patience)

    def told(self, body, *arguments, patience=programs.PATIENCE, **options):
        """Runs a program of the test's own (programs.child), and gives what it told as its last line, in JSON."""
        result = self.run(programs.child(body, *arguments), patience=patience, **options)
        assert result.status == 0 and result.out, result
        return json.loads(result.out.splitlines()[-1])

    def fault_server(self, name, *options):
        """A fault server as a process of its own, for tests that stop or kill it; gives (program, port)."""
        program = self.start([programs.PYTHON, programs.ROOT / "tests/faults/server.py", name, *options], library=False,
                             stdin=programs.subprocess.PIPE)
        return program, int(program.process.stdout.readline().split()[1])
