/** Peak memory of a model of per-layer int8 segments, in a fresh process with its weight cache in place. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runScript } from "../testing/child-process.js";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "weir-memory-"))));
afterAll(() => rmSync(folder, { recursive: true }));

// 8 layers of hidden size 2048 and intermediate size 8192: 470 MB in int8. Weights repeat one block of noise.
const SCRIPT = `
  import { readFileSync } from "node:fs";
  const { ort, testing } = await load();
  const spec = testing.tinySpec({ layers: 8, hidden: 2048, intermediate: 8192, headDim: 256 });
  const random = testing.gaussian(1);
  const noise = new Uint8Array(Float32Array.from({ length: 1 << 16 }, () => random() / 45).buffer);
  const tensors = new Map();
  const add = (name, shape) => tensors.set(name, { name, shape, dtype: "F32", byteLength: 4 * shape.reduce((a, b) => a * b, 1) });
  const addLinear = ({ weight, inFeatures, outFeatures }) => add(weight, [outFeatures, inFeatures]);
  add("embed.weight", [spec.vocabSize, spec.hiddenSize]);
  add("norm.weight", [spec.hiddenSize]);
  addLinear(spec.head.linear);
  for (const { attentionNorm, mlpNorm, attention, mlp } of spec.layers) {
    for (const norm of [attentionNorm, mlpNorm]) add(norm.weight, [spec.hiddenSize]);
    for (const linear of [attention.q, attention.k, attention.v, attention.o, mlp.gate, mlp.up, mlp.down]) addLinear(linear);
  }
  const source = {
    identity: "noise", tensors, close: async () => {},
    async read(name, byteOffset, into) {
      // Every tensor starts elsewhere in the noise: the runtime keeps equal weights once.
      let start = 64 * [...tensors.keys()].indexOf(name);
      for (let done = 0; done < into.length; start = 0) {
        const piece = noise.subarray(start, start + into.length - done);
        into.set(piece, done);
        done += piece.length;
      }
    },
  };
  const { segments, weightBytes } = await ort.prepareModel(spec, source, { quantizer: testing.rtnQuantizer("int8"), cacheFolders: args });
  const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  const runtime = new ort.SegmentRuntime({ threads: 2 });
  const shared = (width) => new Float32Array(new SharedArrayBuffer(4 * 256 * width));
  const buffers = { attention: shared(1024), residual_in: shared(2048), residual_out: shared(2048), qkv: shared(2048), logits: shared(spec.vocabSize) };
  const ints = { input_ids: new Int32Array(new SharedArrayBuffer(1024)), row_indices: new Int32Array(new SharedArrayBuffer(1024)) };
  const sessions = segments.map((segment) => new ort.SegmentSession(runtime, segment));
  const loaded = peak();
  for (const session of sessions) session.bind({ ...buffers, ...ints });
  for (const rows of [256, 1, 17]) for (const session of sessions) session.run(rows);
  const ran = peak();
  for (const session of sessions) session.dispose();
  runtime.dispose();
  console.log(JSON.stringify({ weightBytes, loaded, ran, after: process.memoryUsage.rss() }));`;

describe.skipIf(process.platform !== "linux")("memory of a loaded model", () => {
  it("peaks below 1.3 times its weights and 250 MB, with the largest step, and is given back", async () => {
    const cold = await runScript(SCRIPT, { args: [folder] });
    expect(cold.code, cold.stderr).toBe(0);
    const warm = await runScript(SCRIPT, { args: [folder] });
    const { weightBytes, loaded, ran, after } = JSON.parse(warm.stdout) as Record<string, number>;
    console.log(JSON.stringify({ cold: JSON.parse(cold.stdout), warm: JSON.parse(warm.stdout) }));
    expect(weightBytes).toBeGreaterThan(450e6);
    expect(loaded!).toBeLessThan(1.3 * weightBytes! + 250e6);
    expect(ran!).toBeLessThan(1.3 * weightBytes! + 250e6);
    expect(after!).toBeLessThan(0.5 * weightBytes!);
  });
});
