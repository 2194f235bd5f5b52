/** Where devices come from, and what is said when there is none. */
import { describe, expect, it } from "vitest";
import { fakeDevice, fakeGpu } from "../testing-support/fake-gpu.js";
import { deviceOpener } from "./open-device.js";

const noAdapter = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;

describe("opening a device", () => {
  it("says what to install when there is no adapter", async () => {
    const refusal = deviceOpener({ gpu: noAdapter })();
    await expect(refusal).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(refusal).rejects.toThrow(/no WebGPU adapter was found.*apt-get install .*libvulkan1.*VK_DRIVER_FILES=/);
  });

  it("names the cause when asking for an adapter or a device fails", async () => {
    const failing = { requestAdapter: () => Promise.reject(new Error("driver too old")) } as unknown as GPU;
    await expect(deviceOpener({ gpu: failing })()).rejects.toThrow(/adapter failed: driver too old/);
    const consumed = { limits: {}, requestDevice: () => Promise.reject(new Error("adapter is consumed")) } as unknown as GPUAdapter;
    const refusal = deviceOpener({ adapter: consumed })();
    await expect(refusal).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(refusal).rejects.toThrow(/adapter is consumed; pass the gpu option instead/);
  });

  it("asks for the adapter's own buffer sizes", async () => {
    const asked: unknown[] = [];
    const limits = { maxStorageBufferBindingSize: 7 << 30, maxBufferSize: 8 << 30 };
    const requestDevice = async (descriptor: unknown): Promise<GPUDevice> => {
      asked.push(descriptor);
      return fakeDevice(limits).device;
    };
    const device = await deviceOpener({ adapter: { limits, requestDevice } as unknown as GPUAdapter })();
    expect(asked).toEqual([{ requiredLimits: limits }]);
    expect(device.maxBindingBytes).toBe(7 << 30);
  });

  it("takes one source and no more", () => {
    const { gpu } = fakeGpu();
    expect(() => deviceOpener({ gpu, device: fakeDevice().device })).toThrow(/gpu and device are given/);
  });

  it("leaves a device that was handed in alone, and destroys what a function made", async () => {
    const theirs = fakeDevice();
    (await deviceOpener({ device: theirs.device })()).destroy();
    expect(theirs.destroyed()).toBe(false);
    const made = fakeDevice();
    (await deviceOpener({ device: () => made.device })()).destroy();
    expect(made.destroyed()).toBe(true);
  });

  it("refuses a device that is already lost", async () => {
    const theirs = fakeDevice();
    theirs.lose("destroyed");
    const refusal = deviceOpener({ device: theirs.device })();
    await expect(refusal).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(refusal).rejects.toThrow(/is lost .*pass a function that returns a new one/);
  });
});
