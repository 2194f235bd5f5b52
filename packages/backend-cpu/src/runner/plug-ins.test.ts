/** Plug-ins that live on the caller's thread, and plug-ins that do not fit. */
import { describe, expect, it } from "vitest";
import type { Quantizer } from "@weir/core";
import { createQuantizer } from "@weir/quant";
import { openAltered } from "../testing-support/altered-weights.js";
import { cpuEngine, greedyIds, withEngine, type CpuEngineOptions } from "../testing-support/cpu-test-engine.js";
import { keptSince, resources } from "../testing-support/resources.js";
import { DEMO_MODEL, fixtureFolder } from "../testing-support/test-models.js";

const PROMPT = [5, 6, 7];
const run = (options: CpuEngineOptions): Promise<number[]> => withEngine(options, (engine) => greedyIds(engine, PROMPT, 12));

describe("a WeightSource without locator", () => {
  it.each(["f32", "int8"] as const)("is read on the caller's thread and gives the folder's tokens, %s weights", async (quantize) => {
    const model = await openAltered(fixtureFolder("llama"));
    expect(await run({ model, quantize })).toEqual(await run({ model: fixtureFolder("llama"), quantize }));
    expect(model.reads()).toBeGreaterThan(10);
    await model.weights.close();
  });

  it("that fails to read fails the load with its error, and leaves no thread behind", async () => {
    const before = resources();
    const model = await openAltered(fixtureFolder("llama"), () => {
      throw new Error("the disk is gone");
    });
    await expect(cpuEngine({ model, quantize: "int8" })).rejects.toThrow("the disk is gone");
    await model.weights.close();
    expect(await keptSince(before)).toEqual({});
  });
});

describe("a Quantizer without module", () => {
  it("quantizes on the caller's thread, linear by linear, to the same tokens", async () => {
    const names: string[] = [];
    const quantizer = plainQuantizer("int8", (name) => names.push(name));
    expect(await run({ quantize: "int8", quantizer })).toEqual(await run({ quantize: "int8" }));
    // Six layers of seven, and the head.
    expect(names).toHaveLength(43);
    expect(new Set(names).size).toBe(43);
  });

  it("dequantizes there too, when weights are computed in f32", async () => {
    const quantizer = plainQuantizer("int4-g32", () => {});
    const ids = await run({ quantize: "int4-g32", activations: "f32", quantizer });
    expect(ids).toEqual(await run({ quantize: "int4-g32", activations: "f32" }));
  });

  it("that throws fails the load with its error", async () => {
    const quantizer = plainQuantizer("int8", () => {
      throw new Error("cannot quantize this");
    });
    await expect(run({ quantize: "int8", quantizer })).rejects.toThrow("cannot quantize this");
  });

  it("that makes another scheme than was asked for is refused", async () => {
    const quantizer = plainQuantizer("int8", () => {});
    await expect(run({ quantize: "int4-g32", quantizer })).rejects.toMatchObject({
      code: "invalid_options",
      message: expect.stringMatching(/int8.*int4-g32/),
    });
  });
});

describe("a Quantizer module", () => {
  it("that cannot be loaded, or gives another scheme, is refused", async () => {
    const other = { ...createQuantizer("int4-g32").module!, options: { scheme: "int4-g64" } };
    const unlike: Quantizer = { ...plainQuantizer("int4-g32", () => {}), module: other };
    await expect(run({ quantize: "int4-g32", quantizer: unlike })).rejects.toMatchObject({ code: "invalid_options" });
    const missing: Quantizer = { ...plainQuantizer("int4-g32", () => {}), module: { url: "file:///nowhere/q.mjs", options: {} } };
    await expect(run({ quantize: "int4-g32", quantizer: missing })).rejects.toMatchObject({
      code: "invalid_options",
      message: expect.stringContaining("/nowhere/q.mjs"),
    });
  });
});

describe("an attention kernel", () => {
  it("for another backend is refused by name", async () => {
    const attentionKernel = { name: "wave", backend: "webgpu", module: "file:///x.js" } as const;
    await expect(run({ attentionKernel })).rejects.toMatchObject({
      code: "invalid_options",
      message: expect.stringMatching(/'wave'.*webgpu.*cpu/),
    });
  });

  it("whose module is missing, or exports no createCpuAttention, is refused", async () => {
    for (const module of ["file:///nowhere/kernel.mjs", "data:text/javascript,export const x = 1"]) {
      const attentionKernel = { name: "mine", backend: "cpu", module } as const;
      await expect(run({ attentionKernel })).rejects.toMatchObject({ code: "invalid_options", message: expect.stringContaining("'mine'") });
    }
  });

  it("that throws while it is made fails the load with its error and leaves no thread behind", async () => {
    const before = resources();
    const module = "data:text/javascript,export async function createCpuAttention() { throw new RangeError('no such head size') }";
    await expect(run({ model: DEMO_MODEL, attentionKernel: { name: "mine", backend: "cpu", module } })).rejects.toThrow(
      "no such head size",
    );
    expect(await keptSince(before)).toEqual({});
  });
});

/** An object of the caller's, round to nearest, without a module. */
function plainQuantizer(scheme: "int8" | "int4-g32", onLinear: (name: string) => void): Quantizer {
  const inner = createQuantizer(scheme);
  return {
    scheme,
    algorithm: `test-${Math.random()}`,
    version: 1,
    quantize(linear) {
      onLinear(linear.name);
      return inner.quantize(linear);
    },
    dequantize: (linear) => inner.dequantize(linear),
  };
}
