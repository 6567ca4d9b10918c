"""Healthy servers of binary protocols, as far as one question and its answer go; and their halves, which stop before it."""

import struct


def receive_exactly(connection, count):
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise ConnectionError("the client left")
        data += chunk
    return data


def mysql(silent_at=None):
    """A MySQL server that lets everybody in and answers each query with one row; the word `silent_at` in a query is
    answered with half a row and silence."""

    def packet(number, body):
        return struct.pack("<I", len(body))[:3] + bytes([number]) + body

    def counted(text):
        return bytes([len(text)]) + text

    done = b"\0\0\0\2\0\0\0"
    greeting = (b"\n5.5.5-10.11.0-faults\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<H", 0xF7FF & ~0x0800) +
                b"\x21\2\0" + struct.pack("<H", 0x000F) + bytes([21]) + bytes(10) + b"123456789012\0" + b"mysql_native_password\0")
    column = (counted(b"def") + counted(b"") * 3 + counted(b"answer") + counted(b"") +
              b"\x0c\x21\0" + struct.pack("<I", 11) + b"\xfd\0\0\0\0\0")
    row = (packet(1, b"\1") + packet(2, column) + packet(3, b"\xfe\0\0\2\0") + packet(4, counted(b"hello")) +
           packet(5, b"\xfe\0\0\2\0"))

    def read(connection):
        head = receive_exactly(connection, 4)
        return receive_exactly(connection, head[0] | head[1] << 8 | head[2] << 16)

    def behaviour(connection, stop):
        connection.sendall(packet(0, greeting))
        read(connection)
        connection.sendall(packet(2, done))
        while (body := read(connection))[:1] != b"\1":  # COM_QUIT
            if silent_at and silent_at in body:
                connection.sendall(row[:20])
                stop.wait()
            connection.sendall(row if body[:1] == b"\3" else packet(1, done))

    return behaviour


def ldap(entry=True):
    """Binds everybody and finds one entry, or only half of it."""

    def wrapped(tag, body):
        return bytes([tag, len(body)]) + body

    def text(value, tag=4):
        return wrapped(tag, value)

    def answer(number, tag, body):
        return wrapped(0x30, b"\2\1" + bytes([number]) + wrapped(tag, body))

    fine = b"\x0a\1\0\4\0\4\0"
    attribute = wrapped(0x30, text(b"cn") + wrapped(0x31, text(b"hello")))

    def behaviour(connection, stop):
        while True:
            length = receive_exactly(connection, 2)[1]
            body = receive_exactly(connection, length)
            number, operation = body[2], body[3]
            if operation == 0x60:
                connection.sendall(answer(number, 0x61, fine))
            elif operation == 0x63:
                found = answer(number, 0x64, text(b"cn=hello") + wrapped(0x30, attribute))
                connection.sendall(found if entry else found[:20])
                if not entry:
                    stop.wait()
                connection.sendall(answer(number, 0x65, fine))
            else:
                return

    return behaviour


def mqtt(acknowledges=True):
    """Takes one message of QoS 1, and acknowledges it."""

    def read(connection):
        kind, length = receive_exactly(connection, 2)
        return kind >> 4, receive_exactly(connection, length)

    def behaviour(connection, stop):
        while True:
            kind, body = read(connection)
            if kind == 1:
                connection.sendall(b"\x20\2\0\0")
            elif kind == 3:
                if not acknowledges:
                    connection.sendall(b"\x40")
                    stop.wait()
                topic = struct.unpack_from("!H", body)[0]
                connection.sendall(b"\x40\2" + body[2 + topic:4 + topic])
            else:
                return

    return behaviour
