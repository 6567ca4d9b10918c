"""A child asks on the connection that its parent opened, and the parent tells the child's exit status: HOST PORT."""
import os
import socket
import sys

connection = socket.create_connection(sys.argv[1:3])
child = os.fork()
if not child:
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while data := connection.recv(65536):
        os.write(1, data)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
