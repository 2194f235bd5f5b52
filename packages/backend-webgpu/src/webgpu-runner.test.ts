/** A runner through loss, errors, recovery and disposal, on a GPU that computes nothing. */
import type { ModelRunner } from "@weir/core";
import { describe, expect, it } from "vitest";
import { fakeDevice, fakeGpu, type FakeDevice } from "./testing-support/fake-gpu.js";
import { openLlama, SMALL_LIMITS, SMALL_LOAD, smallStep } from "./testing-support/small-load.js";
import { webgpuBackend } from "./webgpu-backend.js";

const { spec, weights } = await openLlama();

describe("a runner", () => {
  it("makes its buffers when it is loaded and none in a step", async () => {
    const { runner, devices } = await loaded();
    const before = devices[0]!.buffers.length;
    for (let i = 0; i < 3; i++) expect((await runner.execute(smallStep())).tokenIds[0]).toBe(0);
    expect(devices[0]!.buffers).toHaveLength(before);
    expect(devices[0]!.numSubmits()).toBe(3);
    await runner.dispose();
  });

  it("counts weights, reserved blocks, and those that were written", async () => {
    const { runner } = await loaded();
    await runner.execute(smallStep());
    await runner.copyBlocks(Int32Array.of(0, 5, 5, 7));
    const { weightBytes, kvReservedBytes, kvCommittedBytes } = runner.memory();
    // 2 KV heads of 16 for keys and values, 3 layers, f32.
    expect(runner.blockBytes).toBe(16 * 2 * 16 * 2 * 3 * 4);
    expect([kvReservedBytes, kvCommittedBytes]).toEqual([16 * runner.blockBytes, 3 * runner.blockBytes]);
    const parameters = [...weights.tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(weightBytes).toBe(4 * parameters);
    await runner.dispose();
  });

  it("refuses blocks and steps outside of its limits", async () => {
    const { runner } = await loaded();
    await expect(runner.copyBlocks(Int32Array.of(0, 16))).rejects.toThrow(/block 16 is outside the pool of 16/);
    await expect(runner.readBlocks(Int32Array.of(1), new Uint8Array(3))).rejects.toThrow(/has 3 bytes/);
    const input = smallStep({ ...SMALL_LIMITS, maxNumBatchedTokens: 64 });
    input.numTokens = 33;
    await expect(runner.execute(input)).rejects.toMatchObject({ code: "internal" });
    await runner.dispose();
  });

  it("destroys its device once, and refuses everything after dispose", async () => {
    const { runner, devices } = await loaded();
    await runner.dispose();
    await runner.dispose();
    expect(devices[0]!.destroyed()).toBe(true);
    for (const call of [() => runner.execute(smallStep()), () => runner.copyBlocks(Int32Array.of()), () => runner.recover!()]) {
      await expect(call()).rejects.toMatchObject({ code: "disposed" });
    }
  });
});

describe("a device that is lost", () => {
  it.each([
    ["between steps", false],
    ["in the middle of a step", true],
  ])("%s: the step fails as restarted, recover() uploads the weights to another", async (_, inStep) => {
    const { runner, devices } = await loaded();
    if (!inStep) devices[0]!.lose("unknown");
    const step = runner.execute(smallStep());
    if (inStep) devices[0]!.lose("unknown");
    await expect(step).rejects.toMatchObject({ code: "engine_restarted" });
    await expect(runner.execute(smallStep())).rejects.toMatchObject({ code: "engine_restarted" });
    await runner.recover!();
    expect(devices).toHaveLength(2);
    expect(written(devices[1]!)).toEqual(written(devices[0]!));
    expect(runner.memory().kvCommittedBytes).toBe(0);
    expect((await runner.execute(smallStep())).status[0]).toBe(0);
    await runner.dispose();
  });

  it("gives a typed error when it was the host's and there is no other", async () => {
    const theirs = fakeDevice();
    const runner = await webgpuBackend({ device: theirs.device }).loadModel(spec, weights, SMALL_LOAD);
    theirs.device.destroy();
    await expect(runner.execute(smallStep())).rejects.toMatchObject({ code: "engine_restarted" });
    await expect(runner.recover!()).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(runner.execute(smallStep())).rejects.toMatchObject({ code: "engine_restarted" });
    await runner.dispose();
  });
});

describe("an error on the device that nobody captured", () => {
  it("makes the next step fail with what the GPU said", async () => {
    const { runner, devices } = await loaded();
    devices[0]!.raise("out of registers");
    const step = runner.execute(smallStep());
    await expect(step).rejects.toMatchObject({ code: "engine_restarted" });
    await expect(step).rejects.toThrow(/an error on the GPU: out of registers/);
    await runner.recover!();
    expect((await runner.execute(smallStep())).numRows).toBe(1);
    await runner.dispose();
  });
});

describe("a step that the device refuses", () => {
  it("fails as restarted instead of giving the step before's logits", async () => {
    const { runner, devices } = await loaded();
    devices[0]!.failScopes("validation", "too many workgroups");
    const step = runner.execute(smallStep());
    await expect(step).rejects.toMatchObject({ code: "engine_restarted" });
    await expect(step).rejects.toThrow(/the GPU refused a step: too many workgroups/);
    await runner.dispose();
  });
});

async function loaded(): Promise<{ readonly runner: ModelRunner; readonly devices: FakeDevice[] }> {
  const { gpu, devices } = fakeGpu();
  return { runner: await webgpuBackend({ gpu }).loadModel(spec, weights, SMALL_LOAD), devices };
}

/** Bytes that each buffer of weights was given. */
function written({ buffers }: FakeDevice): [string, number][] {
  const tables = new Set(["step", "tokens", "sequences", "blockTables", "rows"]);
  return buffers.filter(({ label, numBytesWritten }) => numBytesWritten > 0 && !tables.has(label)).map((b) => [b.label, b.numBytesWritten]);
}
