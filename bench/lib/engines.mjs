/**
 * How each engine is started for one measurement, and how a run of it is named in tables and plots.
 * In: a scenario and a series. Out: arguments for `runChild`. Knows both command lines; measures nothing.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const bench = dirname(dirname(fileURLToPath(import.meta.url)));
const peers = join(bench, "peers");
const weir = join(dirname(bench), "packages", "cli", "bin", "weir.js");

/**
 * @typedef {object} Load
 * @property {string} model      a shape, without `random:`
 * @property {number} streams
 * @property {number} promptTokens
 * @property {number} maxTokens
 */
/**
 * @typedef {{ engine: "weir", quantize: string, kvDtype: string } | { engine: "peer", pace: "lockstep" | "free" }} Series
 */

/** @param {Series} series */
export function seriesName(series) {
  return series.engine === "peer" ? `llama.cpp Q4_0 ${series.pace}` : `weir ${series.quantize}, KV ${series.kvDtype}`;
}

/** @param {Load} load @param {Series} series @returns {{ args: string[], cwd?: string }} */
export function commandOf({ model, streams, promptTokens, maxTokens }, series) {
  const shared = ["--streams", streams, "--prompt-tokens", promptTokens, "--max-tokens", maxTokens].map(String);
  if (series.engine === "peer") {
    return { args: ["llama-cpp.mjs", "--model", model, ...shared, "--pace", series.pace], cwd: peers };
  }
  const { quantize, kvDtype } = series;
  return { args: [weir, "bench", "throughput", `random:${model}`, ...shared, "--quantize", quantize, "--kv-dtype", kvDtype, "--json"] };
}

/** Installs the peer where it is missing: about 725 MB, prebuilt, no install scripts. @throws Error when that fails */
export function installPeer() {
  if (existsSync(join(peers, "node_modules", "node-llama-cpp"))) return;
  console.error("installing the peer in bench/peers ...");
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts"], { cwd: peers, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("npm ci --ignore-scripts in bench/peers failed; --no-peer measures without it");
}
