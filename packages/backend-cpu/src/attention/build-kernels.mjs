/**
 * Compiles assembly/*.ts to packages/backend-cpu/wasm/attention-{f32,int8}.wasm.
 * Called by the root build and by tests; does nothing while the outputs are newer than their sources.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "../../wasm");

const variants = [
  { name: "attention-f32", int8: 0 },
  { name: "attention-int8", int8: 1 },
];

/** Builds what is out of date. Safe when two processes do it at once. */
export async function buildKernels() {
  const newest = Math.max(...sources().map(mtime));
  const stale = variants.filter((variant) => mtime(join(output, `${variant.name}.wasm`)) < newest);
  if (stale.length === 0) return;
  mkdirSync(output, { recursive: true });
  const { default: asc } = await import("assemblyscript/asc");
  for (const variant of stale) await compile(asc, variant);
}

async function compile(asc, { name, int8 }) {
  const temporary = join(output, `${name}.${process.pid}.tmp.wasm`);
  const flags = [
    "--runtime stub --noAssert --optimizeLevel 3 --shrinkLevel 0 --converge",
    "--enable simd,threads --importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536",
    `--use KV_INT8=${int8}`,
  ];
  const files = [join("assembly", "kernel.ts"), "--baseDir", here, "--outFile", relative(here, temporary)];
  const { error, stderr } = await asc.main(files.concat(flags.join(" ").split(" ")));
  if (error) {
    rmSync(temporary, { force: true });
    throw new Error(`asc failed for ${name}:\n${stderr}`, { cause: error });
  }
  renameSync(temporary, join(output, `${name}.wasm`));
}

function sources() {
  const folder = join(here, "assembly");
  const files = readdirSync(folder).map((file) => join(folder, file));
  return [...files, join(here, "kernel-abi.ts"), fileURLToPath(import.meta.url)];
}

function mtime(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await buildKernels();
