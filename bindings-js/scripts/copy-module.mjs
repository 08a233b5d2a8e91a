// Puts the module and the header beside the compiled sources: the very files that every host uses.
import { copyFileSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

const module = at("../../target/wasm/quillon.wasm");
if (!existsSync(module)) {
  console.error("there is no target/wasm/quillon.wasm: run `cargo xtask wasm` first");
  process.exit(1);
}
copyFileSync(module, at("../dist/quillon.wasm"));
copyFileSync(at("../../engine/abi/quillon.h"), at("../dist/quillon.h"));
