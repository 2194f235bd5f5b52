/**
 * How a runner gets its device, first and again after a loss: from a GPU, an adapter, or what the host hands in.
 * In: the backend's options. Out: a function that opens a GpuDevice or says exactly what is missing.
 */
import { BackendUnavailableError, InvalidOptionsError } from "@weir/core";
import { defaultGpu, HOW_TO_GET_AN_ADAPTER } from "#gpu";
import { GpuDevice } from "./gpu-device.js";

export interface DeviceOptions {
  /** Where adapters come from. Default: Dawn in Node, `navigator.gpu` in a browser. */
  readonly gpu?: GPU;
  /** Gives one device, by the specification: one model, and no recovery when that device is lost. */
  readonly adapter?: GPUAdapter;
  /**
   * A device of yours stays yours: it is not destroyed with the model, errors of your own work on it make the engine
   * start over, and when it is lost so is the runner. A function is called for each model and again after a loss;
   * what it returns is destroyed with the model. Ask for the adapter's `maxStorageBufferBindingSize` and `maxBufferSize`.
   */
  readonly device?: GPUDevice | (() => GPUDevice | Promise<GPUDevice>);
  /** Which adapter to ask `gpu` for. Default "high-performance". */
  readonly powerPreference?: GPUPowerPreference;
}

/** @throws BackendUnavailableError */
export type OpenDevice = () => Promise<GpuDevice>;

/** @throws InvalidOptionsError when more than one source is named */
export function deviceOpener({ gpu, adapter, device, powerPreference = "high-performance" }: DeviceOptions): OpenDevice {
  const given = Object.entries({ gpu, adapter, device }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new InvalidOptionsError(`webgpuBackend: ${given.map(([name]) => name).join(" and ")} are given; it takes one of them`);
  }
  if (typeof device === "function") return async () => new GpuDevice(await device(), true);
  if (device) return () => hostDevice(device);
  if (adapter) return () => requestDevice(adapter, "pass the gpu option instead, which gives a new adapter each time");
  return async () => requestDevice(await requestAdapter(gpu ?? (await defaultGpu()), powerPreference), HOW_TO_GET_AN_ADAPTER);
}

async function requestAdapter(gpu: GPU, powerPreference: GPUPowerPreference): Promise<GPUAdapter> {
  const adapter = await gpu.requestAdapter({ powerPreference }).catch((error: unknown) => {
    throw new BackendUnavailableError(`asking for a WebGPU adapter failed: ${(error as Error).message}; ${HOW_TO_GET_AN_ADAPTER}`, {
      cause: error,
    });
  });
  if (adapter) return adapter;
  throw new BackendUnavailableError(`no WebGPU adapter was found. ${HOW_TO_GET_AN_ADAPTER}`);
}

/** With the adapter's own limits for the sizes of buffers and bindings; the rest is the default of every device. */
async function requestDevice(adapter: GPUAdapter, advice: string): Promise<GpuDevice> {
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  try {
    return new GpuDevice(await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } }), true);
  } catch (error) {
    throw new BackendUnavailableError(`the WebGPU adapter gave no device: ${(error as Error).message}; ${advice}`, { cause: error });
  }
}

async function hostDevice(device: GPUDevice): Promise<GpuDevice> {
  // Settled at once for a device that is already lost.
  const lost = await Promise.race([device.lost, Promise.resolve(undefined)]);
  if (!lost) return new GpuDevice(device, false);
  throw new BackendUnavailableError(
    `the GPUDevice passed to webgpuBackend is lost (${describeLoss(lost)}); pass a function that returns a new one, or the gpu option`,
  );
}

export function describeLoss({ reason, message }: GPUDeviceLostInfo): string {
  return [reason, message].filter(Boolean).join(": ") || "unknown reason";
}
