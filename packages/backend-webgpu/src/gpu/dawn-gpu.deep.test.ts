/** Dawn's instance is kept for the life of the process: when it is collected, adapters and devices crash the process. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { findTestGpu, titled } from "../testing-support/test-gpu.js";
import { defaultGpu } from "./dawn-gpu.js";

// Nothing here holds what create() returned.
const found = await findTestGpu().then(({ gpu, reason }) => ({ gpu: gpu && ("found" as unknown as GPU), reason }));

describe.skipIf(!found.gpu)(titled("Dawn's instance", found), () => {
  it("outlives forced garbage collections while only an adapter, then only a device, is held", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const adapter = (await (await defaultGpu()).requestAdapter())!;
    await collectOften(collect);
    const device = await adapter.requestDevice();
    await collectOften(collect);
    const buffer = device.createBuffer({ size: 16, usage: 0x1 | 0x8 });
    device.queue.writeBuffer(buffer, 0, Uint32Array.of(1, 2, 3, 4));
    await buffer.mapAsync(0x1);
    expect([...new Uint32Array(buffer.getMappedRange())]).toEqual([1, 2, 3, 4]);
    device.destroy();
  });

  it("is one and the same for every caller, another copy of this module included", async () => {
    const copy = (await import(`${new URL("./dawn-gpu.ts", import.meta.url).href}?copy`)) as { defaultGpu: typeof defaultGpu };
    expect(copy.defaultGpu).not.toBe(defaultGpu);
    expect(await copy.defaultGpu()).toBe(await defaultGpu());
  });
});

async function collectOften(collect: () => void): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
