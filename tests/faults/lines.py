"""Healthy servers of protocols that are made of lines, from a table of commands and replies each."""

import contextlib


def dialogue(replies, greeting=b"", unknown=b"", stop_at=None):
    """Says `greeting`, then to each line that begins with a key of `replies` (any case) its value, to others `unknown`.
    The line `stop_at` is answered by silence, and so is all that follows it: half a session."""

    def behaviour(connection, stop):
        connection.sendall(greeting)
        stream = connection.makefile("rb")
        quiet = False  # inside a message, which ends with a dot
        for line in stream:
            word = line.split(b"\r")[0].split(b"\n")[0].upper()
            if quiet:
                quiet = word != b"."
                if quiet:
                    continue
            if stop_at is not None and word.startswith(stop_at):
                stop.wait()
            reply = next((reply for command, reply in replies.items() if word.startswith(command)), unknown)
            if callable(reply):
                reply = reply(line)
            quiet = reply.startswith(b"354")
            connection.sendall(reply)
            if word.startswith((b"QUIT", b"LOGOUT")):
                with contextlib.suppress(OSError):
                    connection.shutdown(1)
                return

    return behaviour


def smtp(stop_at=None):
    return dialogue({b"EHLO": b"250-faults\r\n250 8BITMIME\r\n", b"HELO": b"250 faults\r\n", b"DATA": b"354 go\r\n",
                     b"QUIT": b"221 bye\r\n"}, b"220 faults ESMTP\r\n", b"250 fine\r\n", stop_at)


MAIL = b"From: a@host.test\r\nTo: b@host.test\r\nSubject: hello\r\n\r\nhello\r\n"


def pop3(stop_at=None):
    size = b"%d" % len(MAIL)
    return dialogue({b"CAPA": b"-ERR no\r\n", b"STAT": b"+OK 1 " + size + b"\r\n", b"LIST 1": b"+OK 1 " + size + b"\r\n",
                     b"LIST": b"+OK\r\n1 " + size + b"\r\n.\r\n", b"UIDL": b"-ERR no\r\n", b"LAST": b"-ERR no\r\n",
                     b"TOP": b"+OK\r\n" + MAIL + b".\r\n", b"RETR": b"+OK\r\n" + MAIL + b".\r\n"},
                    b"+OK faults\r\n", b"+OK\r\n", stop_at)


def imap(stop_at=None):
    def tagged(before=b""):
        return lambda line: before + line.split()[0] + b" OK done\r\n"

    fetched = b"* 1 FETCH (BODY[] {%d}\r\n" % len(MAIL) + MAIL + b")\r\n"
    commands = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"SELECT": b"* 1 EXISTS\r\n* 0 RECENT\r\n",
                b"FETCH": fetched, b"LOGOUT": b"* BYE bye\r\n"}

    def answer(line):
        word = line.split()[1].upper()
        return tagged(commands.get(word, b""))(line)

    def behaviour(connection, stop):
        connection.sendall(b"* OK faults\r\n")
        for line in connection.makefile("rb"):
            if stop_at and line.split()[1].upper() == stop_at:
                stop.wait()
            connection.sendall(answer(line))
            if line.split()[1].upper() == b"LOGOUT":
                return

    return behaviour


def memcached(connection, _stop):
    """The text protocol: every key is hello."""
    for line in connection.makefile("rb"):
        words = line.split()
        if words[:1] in ([b"get"], [b"gets"]):
            connection.sendall(b"VALUE %s 0 5\r\nhello\r\nEND\r\n" % words[1])
        elif words[:1] == [b"version"]:
            connection.sendall(b"VERSION 1.6.0\r\n")
        elif words[:1] == [b"quit"]:
            return


def one_line(answer=b"hello\n"):
    """Finger, whois and their kin: one line of question, the answer, the end."""

    def behaviour(connection, _stop):
        connection.makefile("rb").readline()
        connection.sendall(answer)

    return behaviour
