import { beforeAll, describe, expect, it } from "vitest";
import { DisposedError, InternalError, InvalidOptionsError } from "@weir/core";
import { ALWAYS_PARALLEL, checkAgreement, expectClose } from "./testing-support/attention-agreement.js";
import { all, configOf, inputOf, layerOf, runStep, sequencesOf, smallLimits } from "./testing-support/attention-fixtures.js";
import { createCpuAttention as createReference } from "./typescript-attention.js";
import { createCpuAttention } from "./wasm-attention.js";

beforeAll(async () => {
  await (await import("./build-kernels.mjs")).buildKernels();
});

describe("wasm attention", () => {
  it("agrees with the f64 reference for any shape, block size, window, softcap, sinks and mix of chunks", async () => {
    await checkAgreement(15);
  });

  it("follows dense attention over a single block table entry per token", async () => {
    const config = configOf([layerOf({ numHeads: 1, numKvHeads: 1, headDim: 16, vHeadDim: 16, scale: 1 })]);
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [2], 3);
    const [output] = runStep(kernel, config, [{ sequence: sequence!, start: 0, count: 2 }]);
    const rows = sequence!.rows[0]!;
    // The first token sees itself alone: its output is its own v.
    expect([...output![0]!.subarray(0, 16)]).toEqual([...rows.subarray(32, 48)]);
  });

  it("stays finite and exact where scores are far apart", async () => {
    const config = configOf([layerOf({ scale: 40 })]);
    const kernel = await createCpuAttention(config);
    const reference = await createReference(config);
    const chunks = sequencesOf(config, [130], 5).map(all);
    expectClose(runStep(kernel, config, chunks)[0]![0]!, runStep(reference, config, chunks)[0]![0]!, 1e-4);
  });

  it("skips tokens whose slot is -1", async () => {
    const config = configOf([layerOf()]);
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [20], 6);
    const before = new Uint8Array(kernel.blockBytes);
    kernel.readBlock(sequence!.blocks[0]!, before);
    runStep(kernel, config, [all(sequence!)], () => -1);
    const after = new Uint8Array(kernel.blockBytes);
    kernel.readBlock(sequence!.blocks[0]!, after);
    expect(after).toEqual(before);
    expect(kernel.memory().committedBytes).toBe(0);
  });
});

describe("life and limits", () => {
  it("refuses use after dispose, and disposing twice is fine", async () => {
    const config = configOf([layerOf()], { threads: 3 });
    const kernel = await createCpuAttention(config, ALWAYS_PARALLEL);
    runStep(kernel, config, sequencesOf(config, [5], 41).map(all));
    await kernel.dispose();
    await kernel.dispose();
    expect(() => kernel.run(0)).toThrow(DisposedError);
    expect(() => kernel.copyBlocks(new Int32Array(0))).toThrow(DisposedError);
  });

  it.each([
    [{ kvDtype: "bf16" as const }, /kvDtype 'bf16'/],
    [{ limits: { ...smallLimits, blockSize: 12 } }, /blockSize is 12/],
    [{ layers: [layerOf({ headDim: 20 })] }, /headDim is 20/],
    [{ layers: [layerOf({ numHeads: 7 })] }, /numHeads is 7/],
    [{ layers: [layerOf({ rope: 2 })] }, /rope is 2/],
    [{ limits: { ...smallLimits, numBlocks: 600_000 } }, /one WebAssembly memory/],
  ])("refuses %j", async (fields, message) => {
    const attempt = createCpuAttention({ ...configOf([layerOf()]), ...fields });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(InvalidOptionsError);
  });

  it("checks what becomes an address: blocks, slots, positions and counts of a step", async () => {
    const config = configOf([layerOf()]);
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [40], 42);
    const input = inputOf(config, [all(sequence!)]);
    for (const [array, value, message] of [
      [input.blockTables, smallLimits.numBlocks, /block 160/],
      [input.blockTables, -1, /block -1/],
      [input.slotMapping, smallLimits.numBlocks * 16, /slot 2560/],
      [input.positions, smallLimits.maxModelLen, /position 512/],
    ] as const) {
      const kept = array[1]!;
      array[1] = value;
      expect(() => kernel.begin(input)).toThrow(message);
      expect(() => kernel.begin(input)).toThrow(InternalError);
      array[1] = kept;
    }
    kernel.begin(input);
  });
});
