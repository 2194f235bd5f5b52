import { AbortedError, ModelLoadError } from "@weir/core";
import type { LoadProgress, WeightSource } from "@weir/core";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareModel } from "../prepare-model.js";
import { runScript } from "../testing/child-process.js";
import { rtnQuantizer } from "../testing/rtn-quantizer.js";
import { memorySource, tinySpec, tinyWeights } from "../testing/tiny-model.js";

const SPEC = tinySpec({ biases: true });
const WEIGHTS = tinyWeights(SPEC);
const INT8 = rtnQuantizer("int8");

let root: string;
beforeAll(() => (root = mkdtempSync(join(tmpdir(), "weir-cache-test-"))));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
const newFolder = (): string => join(root, String(folders++));

/** Reads needed when every weight has to be made, and when only norms and biases are read. */
async function readsOf(folder: string, source = memorySource(WEIGHTS)): Promise<number> {
  await prepareModel(SPEC, source, { quantizer: INT8, cacheFolders: [folder] });
  return source.reads;
}

describe("the weight cache", () => {
  it("is made once, found again, and gives the same graphs", async () => {
    const folder = newFolder();
    const [made, found] = [memorySource(WEIGHTS), memorySource(WEIGHTS)];
    const first = await prepareModel(SPEC, made, { quantizer: INT8, cacheFolders: [folder] });
    const second = await prepareModel(SPEC, found, { quantizer: INT8, cacheFolders: [folder] });
    expect(second).toEqual(first);
    expect(found.reads).toBeLessThan(made.reads);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("is keyed by weights, scheme, algorithm, version, activations and sign", async () => {
    const folder = newFolder();
    const source = memorySource(WEIGHTS);
    const variants = [
      { quantizer: INT8 },
      { quantizer: { ...INT8, algorithm: "other" } },
      { quantizer: { ...INT8, version: 2 } },
      { quantizer: rtnQuantizer("int4-g32") },
      { quantizer: INT8, activations: "f32" as const },
      { quantizer: INT8, unsignedInt8: true },
    ];
    for (const options of variants) await prepareModel(SPEC, source, { unsignedInt8: false, ...options, cacheFolders: [folder] });
    await prepareModel(SPEC, { ...source, identity: "other" }, { quantizer: INT8, unsignedInt8: false, cacheFolders: [folder] });
    expect(readdirSync(folder)).toHaveLength(variants.length + 1);
  });

  it("is made anew when its file was cut short, extended, overwritten or is of another format", async () => {
    const folder = newFolder();
    const full = await readsOf(folder);
    const cached = await readsOf(folder);
    const path = join(folder, readdirSync(folder)[0]!);
    const good = readFileSync(path);
    const damaged = [
      good.subarray(0, 0),
      good.subarray(0, 40),
      good.subarray(0, 5000),
      good.subarray(0, good.length - 1),
      Buffer.concat([good, Buffer.of(0)]),
      Buffer.from(good.map((byte, i) => (i === good.length - 10 ? byte ^ 1 : byte))),
      Buffer.concat([Buffer.from("NOTWEIR!"), good.subarray(8)]),
    ];
    for (const bytes of damaged) {
      writeFileSync(path, bytes);
      expect(await readsOf(folder)).toBe(full);
      expect(Buffer.compare(readFileSync(path), good)).toBe(0);
      expect(await readsOf(folder)).toBe(cached);
    }
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("goes to the next folder when one cannot be written, and says which were tried when none can", async () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    const good = newFolder();
    await prepareModel(SPEC, memorySource(WEIGHTS), { quantizer: INT8, cacheFolders: [join(file, "below"), good] });
    expect(readdirSync(good)).toHaveLength(1);
    const refused = prepareModel(SPEC, memorySource(WEIGHTS), { quantizer: INT8, cacheFolders: [join(file, "below")] });
    await expect(refused).rejects.toThrow(ModelLoadError);
    await expect(refused).rejects.toThrow(/no folder takes the weight cache int8-.*a-file.*; free some space or set cacheFolders/);
  });

  it("goes to the next folder when the disk is full", async () => {
    const [full, good] = [newFolder(), newFolder()];
    // The error that a full disk gives, at some point in the middle.
    let calls = 0;
    const quantizer: typeof INT8 = {
      ...INT8,
      quantize(linear) {
        if (++calls === 5) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        return INT8.quantize(linear);
      },
    };
    await prepareModel(SPEC, memorySource(WEIGHTS), { quantizer, cacheFolders: [full, good] });
    expect([readdirSync(full), readdirSync(good).length]).toEqual([[], 1]);
  });

  it("stops between two linears when aborted, and leaves nothing behind", async () => {
    const folder = newFolder();
    const controller = new AbortController();
    const seen: LoadProgress[] = [];
    const loading = prepareModel(SPEC, memorySource(WEIGHTS), {
      quantizer: INT8,
      cacheFolders: [folder],
      signal: controller.signal,
      onProgress(progress) {
        seen.push(progress);
        if (seen.length === 4) controller.abort();
      },
    });
    await expect(loading).rejects.toThrow(AbortedError);
    expect(seen).toHaveLength(4);
    expect(readdirSync(folder)).toEqual([]);
    const aborted = prepareModel(SPEC, memorySource(WEIGHTS), { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(AbortedError);
  });

  it("reports progress that grows to its total", async () => {
    const seen: LoadProgress[] = [];
    await prepareModel(SPEC, memorySource(WEIGHTS), {
      quantizer: INT8,
      cacheFolders: [newFolder()],
      onProgress: (progress) => seen.push(progress),
    });
    const made = seen.filter(({ stage }) => stage === "quantize");
    expect(made[0]!.bytesDone).toBe(0);
    expect(made.at(-1)!.bytesDone).toBe(made.at(-1)!.bytesTotal);
    expect(made.every(({ bytesDone }, i) => i === 0 || bytesDone > made[i - 1]!.bytesDone)).toBe(true);
    expect(seen.at(-1)!.stage).toBe("compile");
  });

  it("is whole for each of two processes that make it at once", async () => {
    const folder = newFolder();
    const script = `
      const { ort, testing } = await load();
      const spec = testing.tinySpec({ hidden: 256, intermediate: 512, headDim: 64 });
      const source = testing.memorySource(testing.tinyWeights(spec));
      const { segments } = await ort.prepareModel(spec, source, { quantizer: testing.rtnQuantizer("int8"), cacheFolders: args });
      const runtime = new ort.SegmentRuntime();
      const session = new ort.SegmentSession(runtime, segments[1]);
      const shared = (width) => new Float32Array(new SharedArrayBuffer(4 * width)).fill(0.5);
      const qkv = shared(512);
      session.bind({ attention: shared(256), residual_in: shared(256), residual_out: shared(256), qkv });
      session.run(1);
      console.log(Buffer.from(qkv.buffer).toString("base64"));`;
    const results = await Promise.all([1, 2, 3].map(() => runScript(script, { args: [folder] })));
    for (const { code, stdout, stderr } of results) expect([code, stderr, stdout]).toEqual([0, "", results[0]!.stdout]);
    expect(readdirSync(folder)).toHaveLength(1);
  });
});

describe("weights that do not fit", () => {
  const without = (change: (tensors: Map<string, unknown>) => void): WeightSource => {
    const source = memorySource(WEIGHTS);
    const tensors = new Map(source.tensors);
    change(tensors);
    return { ...source, tensors, read: () => Promise.reject(new Error("no data may be read")) };
  };
  const cases: [string, (tensors: Map<string, unknown>) => void, RegExp][] = [
    ["missing", (tensors) => tensors.delete("l1.k.weight"), /tensor l1\.k\.weight is missing/],
    [
      "of the wrong shape",
      (tensors) => tensors.set("l0.o.weight", { ...(tensors.get("l0.o.weight") as object), shape: [64, 63] }),
      /tensor l0\.o\.weight has shape \[64, 63\]; the model needs \[64, 64\]/,
    ],
    [
      "of the wrong rank",
      (tensors) => tensors.set("norm.weight", { ...(tensors.get("norm.weight") as object), shape: [64, 1] }),
      /tensor norm\.weight has shape \[64, 1\]/,
    ],
    [
      "of the wrong dtype",
      (tensors) => tensors.set("l0.q.bias", { ...(tensors.get("l0.q.bias") as object), dtype: "I64" }),
      /tensor l0\.q\.bias has dtype I64; it must be F32, F16 or BF16/,
    ],
  ];
  for (const [name, change, message] of cases) {
    it(`are refused before any data is read, naming the tensor: ${name}`, async () => {
      const loading = prepareModel(SPEC, without(change), { quantizer: INT8, cacheFolders: [newFolder()] });
      await expect(loading).rejects.toThrow(ModelLoadError);
      await expect(loading).rejects.toThrow(message);
    });
  }

  it("include a quantizer's answer of the wrong size, named with the quantizer", async () => {
    const short: typeof INT8 = {
      ...INT8,
      algorithm: "short",
      quantize: (linear) => ({ ...INT8.quantize(linear), scales: new Float32Array(3) }) as ReturnType<typeof INT8.quantize>,
    };
    const loading = prepareModel(SPEC, memorySource(WEIGHTS), { quantizer: short, cacheFolders: [newFolder()] });
    await expect(loading).rejects.toThrow(/quantizer short made l0\.q\.weight with length of scales 3; it must be 64/);
  });
});
