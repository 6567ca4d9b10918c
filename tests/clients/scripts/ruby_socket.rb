# Asks in a thread while another waits for it: HOST PORT.
require "socket"
Thread.report_on_exception = false
answer = Thread.new do
  socket = TCPSocket.new(ARGV[0], ARGV[1])
  socket.write("GET / HTTP/1.0\r\n\r\n")
  socket.read
end
puts answer.value
