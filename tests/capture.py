"""Makes the terminal capture of the README: a program that hangs, seen, started observed, bounded, and taken out again. Everything
in it is what the commands printed when this ran; redis-cli asks a server that answers thirty times, once late, and then no more."""

import contextlib
import select
import socketserver
import sys
import tempfile
import textwrap
import threading
import time

import programs
from namespace import Namespace, NoNetwork, become_root

HOST, PORT = "192.0.2.1", 6379
PROGRAM = ["redis-cli", "-h", HOST, "-r", "1000", "-i", "0.03", "incr", "orders"]
WIDTH, LATE = 110, 3


class ThirtyAnswers(socketserver.StreamRequestHandler):
    def handle(self):
        for number in range(31):
            for _ in range(5):  # *2 $4 incr $6 orders, a line each
                if not self.rfile.readline():
                    return
            time.sleep(LATE if number == 30 else 0)
            self.wfile.write(b":%d\r\n" % number)
        threading.Event().wait()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def show(command, text):
    print(f"# {command}")
    for line in text.strip("\n").splitlines():
        print(textwrap.fill(line.rstrip(), WIDTH, subsequent_indent="    ") if len(line) > WIDTH else line.rstrip())
    print(flush=True)


def look(net, *arguments):
    result = programs.run([programs.BUILD / "netdeadline", *arguments], net, library=False)
    show("netdeadline " + " ".join(map(str, arguments)), result.text)


def start(net, *options):
    """The program under the library, with these options of `run`. Gives the command that is shown, and the program."""
    options = [*options, "--log", "stderr", "--"]
    shown = f"netdeadline run {' '.join(options)} redis-cli -h {HOST} ..."
    return shown, programs.Program([programs.BUILD / "netdeadline", "run", *options, *PROGRAM], net, programs.environment(library=False))


def first_line(program):
    if not select.select([program.process.stderr], [], [], 60)[0]:
        sys.exit("tests/capture.py: nothing was told")
    return program.process.stderr.readline().decode()


def main():
    become_root()
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
        with net.inside():
            server = Server((HOST, PORT), ThirtyAnswers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hanging = programs.Program(PROGRAM, net, programs.environment(library=False))
        time.sleep(LATE + 5)
        look(net, "ps", hanging.process.pid)
        hanging.kill()
        command, observed = start(net, "--mode", "observe", "--recv", "2s")
        show(command, first_line(observed))
        look(net, "stats", observed.process.pid)
        observed.kill()
        command, bounded = start(net, "--recv", "9s")
        show(command, bounded.finish(60).err.decode())


try:
    main()
except NoNetwork as error:
    sys.exit(f"tests/capture.py: {error}")
