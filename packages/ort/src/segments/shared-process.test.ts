/** ONNX Runtime's environment and threads are the process's: what other users of it and dying workers do to us. */
import { describe, expect, it } from "vitest";
import { runScript } from "../testing/child-process.js";

const IDENTITY = `
  const identity = (ort) => {
    const graph = new ort.GraphBuilder("identity");
    graph.node("Identity", [graph.input("x", "f32", [1])], { outputs: ["y"] });
    return graph.output("y", "f32", [1]).build();
  };
  const theirs = async (model) => {
    const node = require("onnxruntime-node");
    const session = await node.InferenceSession.create(model);
    const { y } = await session.run({ x: new node.Tensor("float32", Float32Array.of(4), [1]) });
    if (y.data[0] !== 4) process.exit(9);
  };`;

describe("a process shared with onnxruntime-node", () => {
  it("falls back to threads of each session's own when that made the environment first", async () => {
    const script = `${IDENTITY}
      const { ort } = await load();
      await theirs(identity(ort));
      const runtime = new ort.SegmentRuntime({ threads: 2 });
      new ort.Session(runtime.env, identity(ort), runtime.sessionOptions).dispose();
      console.log(runtime.pool);
      runtime.dispose();
      await theirs(identity(ort));`;
    expect(await runScript(script)).toEqual({ code: 0, stdout: "session\n", stderr: "" });
  });

  it("has global pools when we were first, and both work", async () => {
    const script = `${IDENTITY}
      const { ort } = await load();
      const runtime = new ort.SegmentRuntime({ threads: 2 });
      console.log(runtime.pool);
      await theirs(identity(ort));
      runtime.dispose();
      await theirs(identity(ort));`;
    expect(await runScript(script)).toEqual({ code: 0, stdout: "global\n", stderr: "" });
  });
});

describe("workers", () => {
  it("may end without disposing anything while their pool's threads wait", async () => {
    // koffi unloads its libraries with the worker; the code must stay mapped under the pool's threads.
    const script = `${IDENTITY}
      import { Worker } from "node:worker_threads";
      const source = \`
        const { parentPort } = await import("node:worker_threads");
        const ort = await import(\${JSON.stringify(require.resolve("./index.js"))});
        const runtime = new ort.SegmentRuntime({ threads: 4 });
        new ort.Session(runtime.env, (\${identity})(ort), runtime.sessionOptions);
        parentPort.postMessage(runtime.pool);\`;
      for (let i = 0; i < 3; i++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
        await worker.terminate();
      }
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { ort } = await load();
      const runtime = new ort.SegmentRuntime({ threads: 2 });
      new ort.Session(runtime.env, identity(ort), runtime.sessionOptions).dispose();
      runtime.dispose();
      console.log("alive", runtime.library.handles.live());`;
    expect(await runScript(script, { nodeFlags: ["--expose-gc"] })).toEqual({ code: 0, stdout: "alive 0\n", stderr: "" });
  });

  it("do not lose the library to the garbage collector", async () => {
    const script = `
      const { ort } = await load();
      const library = ort.loadOrtLibrary();
      for (let i = 0; i < 5; i++) {
        globalThis.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      console.log(ort.detectSaturatingU8S8(), library.version);`;
    const { code, stdout } = await runScript(script, { nodeFlags: ["--expose-gc"] });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^(true|false) 1\.30\.0\n$/)]);
  });
});

describe("sessions", () => {
  it("that are loaded and disposed 50 times leave neither handles nor memory nor open files", async () => {
    const script = `
      import { mkdtempSync, readdirSync, rmSync } from "node:fs";
      import { tmpdir } from "node:os";
      import { join } from "node:path";
      const { ort, testing } = await load();
      const folder = mkdtempSync(join(tmpdir(), "weir-leaks-"));
      const spec = testing.tinySpec({ hidden: 512, intermediate: 1024, headDim: 64, layers: 1 });
      const source = testing.memorySource(testing.tinyWeights(spec));
      const quantizer = testing.rtnQuantizer("int8");
      const { segments } = await ort.prepareModel(spec, source, { quantizer, cacheFolders: [folder] });
      const files = () => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
      let sizes = [];
      for (let i = 0; i < 50; i++) {
        const runtime = new ort.SegmentRuntime({ threads: 2 });
        const sessions = segments.map((segment) => new ort.SegmentSession(runtime, segment));
        for (const session of sessions) session.dispose();
        runtime.dispose();
        globalThis.gc();
        sizes.push([process.memoryUsage.rss(), files(), runtime.library.handles.live()]);
      }
      rmSync(folder, { recursive: true });
      console.log(JSON.stringify({ grown: sizes[49][0] - sizes[9][0], files: sizes[49][1] - sizes[9][1], live: sizes[49][2] }));`;
    const { stdout, stderr } = await runScript(script, { nodeFlags: ["--expose-gc"] });
    const result = JSON.parse(stdout || stderr) as { grown: number; files: number; live: number };
    expect(result).toMatchObject({ files: 0, live: 0 });
    // One set of sessions holds 2 MB of weights: 40 leaked ones would be 80 MB.
    expect(result.grown).toBeLessThan(20e6);
  });
});
