// Serves the page on http://localhost: `node web-demo/serve.mjs [PORT]`, after `cargo xtask demo` has built the package.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

// Where the files are in the repository, so that the page's imports are the same as in Node. The certificate is the
// tests': both ends of its connections are in the page.
const REPOSITORY = new URL("../", import.meta.url);
const FOLDERS = ["web-demo/", "bindings-js/dist/", "tests/data/"];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** The file for a path, or `null` outside of the folders above. The URL parser has resolved `..` already. */
function locate(path) {
  const name = path.slice(1) === "web-demo/" ? "web-demo/index.html" : path.slice(1);
  return FOLDERS.some((folder) => name.startsWith(folder)) ? new URL(name, REPOSITORY) : null;
}

export const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, "http://localhost");
    if (pathname === "/") {
      response.writeHead(302, { location: "/web-demo/" }).end();
      return;
    }
    const file = locate(pathname);
    const body = file === null ? null : await readFile(file);
    if (body === null) {
      throw new Error("outside");
    }
    response.writeHead(200, { "content-type": TYPES[extname(file.pathname)] ?? "application/octet-stream" });
    response.end(body);
  } catch {
    response.writeHead(404).end("not found\n");
  }
});

if (process.argv[1] === import.meta.filename) {
  server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => {
    console.log(`http://localhost:${server.address().port}`);
  });
}
