/** A real device that is lost, or reports an error, while requests run: they are replayed with the same tokens. */
import type { LLMEngine } from "@weir/core";
import { describe, expect, it } from "vitest";
import { findTestGpu, titled } from "./testing-support/test-gpu.js";
import { fixtureFolder } from "./testing-support/test-models.js";
import { assertIdle, greedyIds, webgpuEngine, withEngine } from "./testing-support/webgpu-test-engine.js";

const found = await findTestGpu();
const gpu = found.gpu!;

const PROMPTS = [[5, 6, 7], [100, 200, 300, 400, 500], Array.from({ length: 40 }, (_, i) => i * 7 + 3)] as const;
const NUM_NEW = 12;
const SMALL = { model: fixtureFolder("llama"), maxNumSeqs: 4, maxNumBatchedTokens: 16 } as const;

const solo = found.gpu
  ? await withEngine({ ...SMALL, webgpu: { gpu } }, async (engine) => {
      const all: number[][] = [];
      for (const prompt of PROMPTS) all.push(await greedyIds(engine, prompt, NUM_NEW));
      return all;
    })
  : [];

describe.skipIf(!found.gpu)(titled("a device that fails while requests run", found), () => {
  const faults: readonly (readonly [string, (device: GPUDevice) => void])[] = [
    ["is destroyed by the host", (device) => device.destroy()],
    // A buffer without usages: an error that nobody captures.
    ["reports an error", (device) => void device.createBuffer({ size: 16, usage: 0 })],
  ];
  it.each(faults)("%s: in a prefill, in a decode and between; tokens are the same", async (_, fault) => {
    const { engine, numDevices } = await faultyEngine(fault, [1, 8, 9]);
    await expectSolo(engine);
    expect(engine.stats().restarts).toBe(3);
    expect(numDevices()).toBe(4);
    await expectSolo(engine);
    expect(engine.stats().restarts).toBe(3);
    await engine.dispose();
  });

  it("fails at every step: the request ends in the typed error, and later ones are served", async () => {
    const { engine, numDevices } = await faultyEngine((device) => device.destroy(), [0, 1, 2, 3]);
    await expect(greedyIds(engine, PROMPTS[0], NUM_NEW)).rejects.toMatchObject({ code: "engine_restarted" });
    expect(numDevices()).toBe(5);
    await expectSolo(engine);
    await engine.dispose();
  });

  it("is the host's only one: requests fail with what to pass instead, and so do later ones", async () => {
    const device = await (await gpu.requestAdapter())!.requestDevice();
    const engine = await webgpuEngine({ ...SMALL, webgpu: { device } });
    expect(await greedyIds(engine, PROMPTS[0], NUM_NEW)).toEqual(solo[0]);
    device.destroy();
    for (let i = 0; i < 2; i++) {
      await expect(greedyIds(engine, PROMPTS[0], NUM_NEW)).rejects.toMatchObject({ code: "backend_unavailable" });
    }
    await engine.drain();
    assertIdle(engine);
    await engine.dispose();
  });

  it("is the host's own and well: it is left alive", async () => {
    const device = await (await gpu.requestAdapter())!.requestDevice();
    const engine = await webgpuEngine({ ...SMALL, webgpu: { device } });
    expect(await greedyIds(engine, PROMPTS[1], NUM_NEW)).toEqual(solo[1]);
    await engine.dispose();
    const buffer = device.createBuffer({ size: 16, usage: 0x1 | 0x8 });
    await buffer.mapAsync(0x1);
    device.destroy();
  });
});

/** @param failAt steps, counted over all devices, in which `fault` strikes right after the work was encoded */
async function faultyEngine(
  fault: (device: GPUDevice) => void,
  failAt: readonly number[],
): Promise<{ readonly engine: LLMEngine; readonly numDevices: () => number }> {
  let numDevices = 0;
  let numSteps = 0;
  const device = async (): Promise<GPUDevice> => {
    numDevices++;
    const made = await (await gpu.requestAdapter())!.requestDevice();
    const encoder = made.createCommandEncoder.bind(made);
    const createCommandEncoder = (descriptor?: GPUCommandEncoderDescriptor): GPUCommandEncoder => {
      if (descriptor?.label === "step" && failAt.includes(numSteps++)) queueMicrotask(() => fault(made));
      return encoder(descriptor);
    };
    return Object.defineProperty(made, "createCommandEncoder", { value: createCommandEncoder });
  };
  return { engine: await webgpuEngine({ ...SMALL, webgpu: { device } }), numDevices: () => numDevices };
}

/** All at once, then nothing is left. */
async function expectSolo(engine: LLMEngine): Promise<void> {
  expect(await Promise.all(PROMPTS.map((prompt) => greedyIds(engine, prompt, NUM_NEW)))).toEqual(solo);
  await engine.drain();
  assertIdle(engine);
}
