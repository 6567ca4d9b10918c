"""Asks on a blocking socket that is polled without end beside standard input: HOST PORT."""
import select
import socket
import sys

connection = socket.create_connection(sys.argv[1:3])
connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
poll = select.poll()
poll.register(connection, select.POLLIN)
poll.register(0, select.POLLIN)
while True:
    for descriptor, _ in poll.poll():
        if descriptor == 0:
            poll.unregister(0)  # its end
        elif data := connection.recv(65536):
            print(data)
        else:
            sys.exit()
