/**
 * Where results go: `bench/results/<date>-<name>.json`, with the machine they were measured on.
 * In: plain data. Out: files small enough to commit.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, "bench", "results");

/**
 * @param {string} name  e.g. "throughput"
 * @param {object} data
 * @param {boolean} [quick]  a try-out, which git ignores
 * @returns the file's path, from the repository's root
 */
export function writeResult(name, data, quick = false) {
  const whole = { date: today(), machine: describeMachine(), ...data };
  return writeText(fileOf(name, quick), `${JSON.stringify(whole, undefined, 1)}\n`);
}

/** @param {string} file @param {string} text @returns the file's path, from the repository's root */
export function writeText(file, text) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), text);
  return relative(root, join(folder, file));
}

/** @param {string} name @param {boolean} quick @returns today's result, or undefined */
export function readResult(name, quick) {
  const path = join(folder, fileOf(name, quick));
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

export function today() {
  return new Date().toISOString().slice(0, 10);
}

/** @param {string} name @param {boolean} quick */
function fileOf(name, quick) {
  return `${today()}-${name}${quick ? ".tmp" : ""}.json`;
}

function describeMachine() {
  const git = (/** @type {string[]} */ ...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout.trim();
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    features: cpuFeatures(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    commit: git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "packages") === "" ? "" : "+changes"),
  };
}

/** What decides the speed of matrix products. */
function cpuFeatures() {
  try {
    const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" "));
    return ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8"].filter((flag) => flags.has(flag));
  } catch {
    return [];
  }
}
