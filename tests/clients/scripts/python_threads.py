"""Two threads ask at the same time, on a connection each: HOST PORT."""
import concurrent.futures
import socket
import sys


def ask(_):
    with socket.create_connection(sys.argv[1:3]) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(*pool.map(ask, range(2)))
