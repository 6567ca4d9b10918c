// Asks with node's HTTP client (epoll; lookups in helper threads): URL.
const client = process.argv[2].startsWith("https") ? require("https") : require("http");
client.get(process.argv[2], {rejectUnauthorized: false}, (answer) => {
    answer.pipe(process.stdout);
    answer.on("error", (error) => { console.error(error.message); process.exit(1); });
}).on("error", (error) => { console.error(error.message); process.exit(1); });
