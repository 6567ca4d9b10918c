-- Asks with LuaSocket's HTTP client, its own timeout switched off: URL.
local http = require("socket.http")
http.TIMEOUT = nil
local body, status = http.request(arg[1])
assert(body, status)
io.write(body)
