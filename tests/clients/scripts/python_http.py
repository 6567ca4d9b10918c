"""Asks with http.client, and reads the whole answer: HOST PORT."""
import http.client
import sys

connection = http.client.HTTPConnection(*sys.argv[1:3])
connection.request("GET", "/")
print(connection.getresponse().read())
