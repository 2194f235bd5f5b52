/**
 * Runs every example (`examples/<feature>/*.ts`) on the built packages and checks that each is under 60 lines,
 * exits with 0 and prints something. Examples are transpiled one by one, as a user's own build would.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "./build.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const examples = join(root, "examples");
const out = join(examples, ".built");
// esbuild comes with tsup; it is what transpiles the packages too.
const require = createRequire(createRequire(join(root, "package.json")).resolve("tsup/package.json"));
const { transformSync } = require("esbuild");
const only = process.argv.slice(2);
let failed = 0;

for (const feature of readdirSync(examples, { withFileTypes: true })) {
  if (!feature.isDirectory() || feature.name.startsWith(".") || feature.name === "node_modules") continue;
  const files = readdirSync(join(examples, feature.name)).filter((file) => file.endsWith(".ts"));
  for (const file of files) transpile(feature.name, file);
  const main = `${feature.name}.js`;
  if (!existsSync(join(out, feature.name, main))) report(feature.name, `no ${feature.name}.ts`);
  else if (only.length === 0 || only.includes(feature.name)) runExample(feature.name, main);
}
rmSync(out, { recursive: true, force: true });
console.log(failed === 0 ? "examples: all ran" : `examples: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function transpile(feature, file) {
  const source = readFileSync(join(examples, feature, file), "utf8");
  const lines = source.trimEnd().split("\n").length;
  if (lines >= 60) report(feature, `${file} has ${lines} lines; examples stay under 60`);
  mkdirSync(join(out, feature), { recursive: true });
  const { code } = transformSync(source, {
    loader: "ts",
    format: "esm",
    target: "node20",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
  });
  writeFileSync(join(out, feature, file.replace(/\.ts$/, ".js")), code);
}

function runExample(feature, main) {
  const start = performance.now();
  const result = spawnSync(process.execPath, [join(out, feature, main)], { cwd: root, encoding: "utf8", timeout: 120_000 });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (result.status !== 0) return report(feature, `exit ${result.status}\n${result.stdout}${result.stderr}`);
  if (result.stdout.trim() === "") return report(feature, "printed nothing");
  console.log(`--- ${feature} (${seconds} s)\n${result.stdout.trimEnd()}`);
}

function report(feature, message) {
  failed++;
  console.error(`--- ${feature}: ${message}`);
}
