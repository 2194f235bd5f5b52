/**
 * Builds every package whose sources are newer than its last build: kernels to .wasm, TypeScript to dist.
 * Called by `pnpm build`, `pnpm test` and `pnpm weir`; `--types` also emits declarations.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(join(root, "package.json"));
const packages = ["core", "quant", "ort", "backend-cpu", "backend-cuda", "backend-webgpu", "cli"];

const kernels = join(root, "packages/backend-cpu/src/attention/build-kernels.mjs");
if (existsSync(kernels)) await (await import(pathToFileURL(kernels).href)).buildKernels();
for (const name of packages) buildPackage(join(root, "packages", name));
if (process.argv.includes("--types")) run("typescript/package.json", "bin/tsc", ["-b"], root);

function buildPackage(folder) {
  const stamp = join(folder, "dist", ".built");
  const newest = Math.max(newestIn(join(folder, "src")), ...["tsup.base.ts", "scripts/build.mjs"].map((f) => mtime(join(root, f))));
  if (existsSync(stamp) && mtime(stamp) >= newest) return;
  dropOrphans(join(folder, "dist"), join(folder, "src"));
  run("tsup/package.json", "dist/cli-default.js", [], folder);
  mkdirSync(join(folder, "dist"), { recursive: true });
  writeFileSync(stamp, "");
}

/** A source that was renamed must not live on in dist. */
function dropOrphans(dist, src) {
  if (!existsSync(dist)) return;
  for (const file of readdirSync(dist, { recursive: true })) {
    if (file.endsWith(".js") && !existsSync(join(src, file.replace(/\.js$/, ".ts")))) rmSync(join(dist, file));
  }
}

function run(manifest, script, args, cwd) {
  const bin = join(dirname(require.resolve(manifest)), script);
  const result = spawnSync(process.execPath, [bin, ...args], { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function newestIn(folder) {
  if (!existsSync(folder)) return 0;
  return Math.max(0, ...readdirSync(folder, { recursive: true }).map((file) => mtime(join(folder, file))));
}

function mtime(file) {
  return statSync(file).mtimeMs;
}
