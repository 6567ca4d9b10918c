-- Asks with LuaSocket, which polls a non-blocking socket without a limit: HOST PORT.
local socket = require("socket")
local connection = assert(socket.tcp())
assert(connection:connect(arg[1], tonumber(arg[2])))
assert(connection:send("GET / HTTP/1.0\r\n\r\n"))
io.write((assert(connection:receive("*a"))))
