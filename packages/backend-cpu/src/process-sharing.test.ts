/** One process, several users of ONNX Runtime: two copies of Weir, other threads, onnxruntime-node. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { greedyIds, TEST_CACHE, withEngine } from "./testing-support/cpu-test-engine.js";
import { DEMO_MODEL } from "./testing-support/test-models.js";

const PROMPT = [5, 6, 7];
const NUM_NEW = 12;
const builtBackend = new URL("../dist/index.js", import.meta.url).href;
const builtCore = new URL("../../core/dist/index.js", import.meta.url).href;
const onnxruntimeNode = createRequire(new URL("../../ort/package.json", import.meta.url)).resolve("onnxruntime-node");

/** A module that makes an engine from the built packages and hands its tokens to `report`. */
const program = (before: string, report: string, after = ""): string => `
  ${before}
  const { createEngine } = await import(${JSON.stringify(builtCore)});
  const { cpuBackend } = await import(${JSON.stringify(builtBackend)});
  const engine = await createEngine({ model: ${JSON.stringify(DEMO_MODEL)}, backend: () => cpuBackend({ threads: 2 }) });
  const ids = [];
  for await (const event of engine.generate(${JSON.stringify(PROMPT)}, { maxTokens: ${NUM_NEW}, ignoreEos: true })) if (event.type === "token") ids.push(event.id);
  ${report}
  await engine.dispose();
  ${after}
`;
const importOrt = `const ort = (await import(${JSON.stringify(onnxruntimeNode)})).default; await ort.InferenceSession.create(new Uint8Array(0)).catch(() => {});`;
const solo = await withEngine({}, (engine) => greedyIds(engine, PROMPT, NUM_NEW));

describe("one process", () => {
  it("holds two copies of Weir that generate at the same time, and a backend of one under the engine of the other", async () => {
    const copy = copyOfWeir();
    const code = `
      const copies = await Promise.all([[${JSON.stringify(builtCore)}, ${JSON.stringify(builtBackend)}], ${JSON.stringify(copy)}].map(
        async ([core, backend]) => ({ ...(await import(core)), ...(await import(backend)) })));
      if (copies[0].createEngine === copies[1].createEngine) throw new Error("one copy");
      const pairs = [[0, 0], [1, 1], [0, 1]];
      const engines = await Promise.all(pairs.map(([engine, backend]) =>
        copies[engine].createEngine({ model: ${JSON.stringify(DEMO_MODEL)}, backend: () => copies[backend].cpuBackend({ threads: 2 }) })));
      const all = await Promise.all(engines.map(async (engine) => {
        const ids = [];
        for await (const event of engine.generate(${JSON.stringify(PROMPT)}, { maxTokens: ${NUM_NEW}, ignoreEos: true })) if (event.type === "token") ids.push(event.id);
        return ids;
      }));
      console.log(JSON.stringify(all));
      for (const engine of engines) await engine.dispose();`;
    expect(await inChild(code)).toEqual([solo, solo, solo]);
  });

  it("runs engines in worker threads, as test runners do", async () => {
    const threads = [1, 2].map(() => inWorker(program("", "(await import('node:worker_threads')).parentPort.postMessage(ids);")));
    expect(await Promise.all(threads)).toEqual([solo, solo]);
  });

  it("survives a worker thread that ends without disposing its engine", async () => {
    const ids = await inWorker(program("", "(await import('node:worker_threads')).parentPort.postMessage(ids); process.exit(0);"));
    expect(ids).toEqual(solo);
    expect(await withEngine({}, (engine) => greedyIds(engine, PROMPT, NUM_NEW))).toEqual(solo);
  });

  it.each([
    ["before", importOrt, ""],
    ["after", "", importOrt],
  ])("may load onnxruntime-node %s Weir", async (_, before, after) => {
    expect(await inChild(program(before, "console.log(JSON.stringify(ids));", after))).toEqual(solo);
  });

  it("may exit without disposing, in the middle of a stream", async () => {
    const code = program(
      "",
      "console.log(JSON.stringify(ids)); engine.generate([1], { maxTokens: 500, ignoreEos: true }).text().catch(() => {}); await new Promise((r) => setTimeout(r, 30)); process.exit(0);",
    );
    expect(await inChild(code)).toEqual(solo);
  });
});

/** The built packages once more in a folder of their own. @returns URLs of its core and backend */
function copyOfWeir(): [core: string, backend: string] {
  const scope = join(TEST_CACHE, "copy/node_modules/@weir");
  for (const name of ["core", "quant", "ort", "backend-cpu"]) {
    const [from, to] = [fileURLToPath(new URL(`../../${name}`, import.meta.url)), join(scope, name)];
    for (const part of ["package.json", "dist", "wasm"])
      if (existsSync(join(from, part))) cpSync(join(from, part), join(to, part), { recursive: true });
    linkDependencies(join(from, "node_modules"), join(to, "node_modules"));
  }
  return [pathToFileURL(join(scope, "core/dist/index.js")).href, pathToFileURL(join(scope, "backend-cpu/dist/index.js")).href];
}

function linkDependencies(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  // Our own packages are found beside each other in the copy.
  for (const name of readdirSync(from).filter((each) => !each.startsWith(".") && each !== "@weir"))
    symlinkSync(realpathSync(join(from, name)), join(to, name));
}

function inWorker(code: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] });
    let ids: unknown;
    worker.on("message", (message) => (ids = message));
    worker.on("error", reject);
    worker.on("exit", (status) => (status === 0 ? resolve(ids) : reject(new Error(`exit code ${status}`))));
  });
}

/** @returns what it printed as JSON; it must end by itself, with code 0 and without a word of complaint */
function inChild(code: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let complaints = "";
    child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
    child.stderr.on("data", (chunk: Buffer) => (complaints += String(chunk)));
    child.on("close", (status, signal) => {
      if (status === 0 && complaints === "") resolve(JSON.parse(output));
      else reject(new Error(`status ${status}, signal ${signal}: ${complaints}`));
    });
  });
}
