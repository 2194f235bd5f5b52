/** Checks each package's manifest and files as a consumer would see them. */
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { readFileSync } from "node:fs";

let failed = 0;
for (const name of ["core", "quant", "ort", "backend-cpu", "backend-cuda", "backend-webgpu", "cli"]) {
  const pkgDir = new URL(`../packages/${name}`, import.meta.url).pathname;
  const pkg = JSON.parse(readFileSync(`${pkgDir}/package.json`, "utf8"));
  const { messages } = await publint({ pkgDir, strict: true });
  for (const message of messages) console.log(`${pkg.name}: ${formatMessage(message, pkg)}`);
  failed += messages.filter((message) => message.type !== "suggestion").length;
}
console.log(failed === 0 ? "publint: nothing to report" : `publint: ${failed} problems`);
process.exit(failed === 0 ? 0 : 1);
