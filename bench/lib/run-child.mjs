/**
 * One measurement = one fresh process. In: a command that prints one JSON object as its last line. Out: that object,
 * how long the process took and how busy others were meanwhile. Used by every bench file that measures an engine.
 */
import { spawn } from "node:child_process";
import { CpuClock, DISTURBED } from "./cpu-clock.mjs";
import { round } from "./statistics.mjs";

/** Long enough to make and quantize the weights of 1.1 B parameters once. */
const TIME_LIMIT_MS = 400_000;

/**
 * @typedef {object} Run
 * @property {any} result         what the child printed
 * @property {number} seconds     of the whole process, load included
 * @property {number} [othersCpu] share of all cores used by others meanwhile, 0 to 1
 * @property {boolean} [disturbed]
 */

/**
 * @param {readonly string[]} args  for this Node
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<Run>}
 * @throws Error with the end of the child's stderr when it fails or prints no JSON
 */
export async function runChild(args, { cwd, env } = {}) {
  const start = performance.now();
  const clock = new CpuClock();
  const child = spawn(process.execPath, args, {
    ...(cwd ? { cwd } : {}),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIME_LIMIT_MS,
  });
  const output = collect(child.stdout);
  const errors = collect(child.stderr);
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exit, signal) => resolve(signal ?? exit));
  });
  const othersCpu = clock.stop();
  const result = code === 0 ? lastJson(output()) : undefined;
  if (result === undefined) throw new Error(`${args.join(" ")} ended with ${code}: ${errors().slice(-2000)}`);
  return {
    result,
    seconds: round((performance.now() - start) / 1000),
    ...(othersCpu === undefined ? {} : { othersCpu: round(othersCpu, 3), disturbed: othersCpu > DISTURBED }),
  };
}

/** @param {import("node:stream").Readable} stream */
function collect(stream) {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk) => (text += chunk));
  return () => text;
}

/** @param {string} text */
function lastJson(text) {
  const line = text.trimEnd().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
