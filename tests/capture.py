"""Makes the terminal capture of the README: a program that hangs, seen, started observed, bounded, and taken out again. Everything
in it is what the commands printed when this ran; redis-cli asks a server that answers thirty times, once late, and then no more."""

import contextlib
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


class Session:
    def __init__(self, net, directory):
        self.net, self.log = net, f"{directory}/log"
        self.variables = programs.environment(library=False)

    def look(self, *arguments):
        result = programs.Program(self.net.command([programs.BUILD / "netdeadline", *arguments]), None, self.variables).finish()
        show("netdeadline " + " ".join(map(str, arguments)), result.text)

    def start(self, options=None):
        argv = [programs.BUILD / "netdeadline", "run", *options, "--log", self.log, "--", *PROGRAM] if options is not None else PROGRAM
        return programs.Program(self.net.command(argv), None, self.variables)

    def lines(self):
        with contextlib.suppress(FileNotFoundError), open(self.log) as file:
            return file.read()
        return ""

    def until_told(self):
        until = time.monotonic() + 30
        while not self.lines() and time.monotonic() < until:
            time.sleep(0.1)

    def tell(self, command, last=""):
        show(f"netdeadline {command}", self.lines() + last)
        open(self.log, "w").close()


def main():
    become_root()
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
        with net.inside():
            server = Server((HOST, PORT), ThirtyAnswers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        session = Session(net, directory)
        hanging = session.start()
        time.sleep(LATE + 5)
        session.look("ps", hanging.process.pid)
        hanging.kill()
        observed = session.start(["--mode", "observe", "--recv", "2s"])
        session.until_told()
        session.tell("run --mode observe --recv 2s --log stderr -- redis-cli ...")
        session.look("stats", observed.process.pid)
        observed.kill()
        bounded = session.start(["--recv", "9s"]).finish(40)
        session.tell("run --recv 9s --log stderr -- redis-cli ...", bounded.text.strip("\n").splitlines()[-1])


try:
    main()
except NoNetwork as error:
    sys.exit(f"tests/capture.py: {error}")
