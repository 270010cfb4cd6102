const [tools, port] = process.argv.slice(2);
const { createRequire } = require("module");
const load = createRequire(tools + "/");
const { createIPX, ipxHttpStorage, createIPXNodeServer } = load("ipx");
const ipx = createIPX({ storage: ipxHttpStorage({ allowAllDomains: true, ignoreCacheControl: true }) });
require("http").createServer(createIPXNodeServer(ipx)).listen(Number(port), "127.0.0.1");
