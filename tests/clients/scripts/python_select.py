"""Asks on a non-blocking socket with select, in short waits: HOST PORT."""
import os
import select
import socket
import sys

family, kind, protocol, _, address = socket.getaddrinfo(*sys.argv[1:3], type=socket.SOCK_STREAM)[0]
connection = socket.socket(family, kind, protocol)
connection.setblocking(False)
connection.connect_ex(address)
while not select.select([], [connection], [], 0.1)[1]:
    pass
if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
    sys.exit(os.strerror(error))
connection.send(b"GET / HTTP/1.0\r\n\r\n")
while True:
    if select.select([connection], [], [], 0.1)[0]:
        if not (data := connection.recv(65536)):
            break
        print(data)
