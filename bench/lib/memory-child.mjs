/**
 * Child of `memory.mjs`: `node memory-child.mjs LOAD_AS_JSON`. Loads a model, runs the streams, prints one line of JSON:
 * the process's memory by kind. `warm` is false when this process had to make the weight cache.
 */
import { readFileSync } from "node:fs";
import { openEngine, runStreams } from "./engine-load.mjs";

const load = JSON.parse(process.argv[2]);
let warm = true;
const engine = await openEngine(load, {
  onProgress: (/** @type {import("@weir/core").LoadProgress} */ { stage }) => {
    if (stage === "quantize") warm = false;
  },
});
const loaded = processMemory();
await runStreams(engine, load);
const { weightBytes, kvCommittedBytes, kvReservedBytes } = engine.stats().memory;
console.log(JSON.stringify({ warm, weightBytes, kvCommittedBytes, kvReservedBytes, loaded, finished: processMemory() }));
await engine.dispose();

/** Bytes. `peak` counts mapped files and shared memory as well, as the kernel does. */
function processMemory() {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (/** @type {string} */ name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  return { peak: bytes("VmHWM"), anonymous: bytes("RssAnon"), files: bytes("RssFile"), shared: bytes("RssShmem") };
}
