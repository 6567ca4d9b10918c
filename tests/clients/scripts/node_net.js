// Asks with a plain socket of node's: HOST PORT.
const socket = require("net").connect(process.argv[3], process.argv[2], () => socket.write("GET / HTTP/1.0\r\n\r\n"));
socket.pipe(process.stdout);
socket.on("error", (error) => { console.error(error.message); process.exit(1); });
