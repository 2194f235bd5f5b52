/**
 * A GPU that computes nothing: objects of the right shape, counted, whose logits are zeros. For tests of what happens
 * around the arithmetic (refusals, losses, limits), on machines without an adapter.
 */

export interface FakeLimits {
  readonly maxStorageBufferBindingSize?: number;
  readonly maxBufferSize?: number;
}

export interface FakeDevice {
  readonly device: GPUDevice;
  readonly buffers: FakeBuffer[];
  readonly destroyed: () => boolean;
  readonly numSubmits: () => number;
  readonly lose: (reason: string) => void;
  readonly raise: (message: string) => void;
  /** Message of every error scope of that kind from now on. */
  readonly failScopes: (filter: GPUErrorFilter, message: string) => void;
}

export class FakeBuffer {
  readonly label: string;
  readonly size: number;
  isDestroyed = false;
  numBytesWritten = 0;
  readonly #alive: () => boolean;

  constructor(label: string, size: number, alive: () => boolean) {
    this.label = label;
    this.size = size;
    this.#alive = alive;
  }

  async mapAsync(): Promise<void> {
    await Promise.resolve();
    if (!this.#alive()) throw new Error("the device is lost");
  }

  getMappedRange(_offset = 0, size: number = this.size): ArrayBuffer {
    return new ArrayBuffer(size);
  }

  unmap(): void {}

  destroy(): void {
    this.isDestroyed = true;
  }
}

const DEFAULT_LIMITS = {
  maxStorageBufferBindingSize: 128 << 20,
  maxBufferSize: 256 << 20,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

/** @returns the GPU and, in order, the devices it gave */
export function fakeGpu(limits: FakeLimits = {}): { readonly gpu: GPU; readonly devices: FakeDevice[] } {
  const devices: FakeDevice[] = [];
  const requestDevice = (): Promise<GPUDevice> => {
    const made = fakeDevice(limits);
    devices.push(made);
    return Promise.resolve(made.device);
  };
  const adapter = { limits: { ...DEFAULT_LIMITS, ...limits }, features: new Set(), requestDevice };
  return { gpu: { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU, devices };
}

export function fakeDevice(limits: FakeLimits = {}): FakeDevice {
  const events = new EventTarget();
  const buffers: FakeBuffer[] = [];
  let alive = true;
  let numSubmits = 0;
  const scopes: GPUErrorFilter[] = [];
  const failures = new Map<GPUErrorFilter, { readonly message: string }>();
  let resolveLost: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise((resolve) => (resolveLost = resolve));
  const lose = (reason: string): void => {
    alive = false;
    resolveLost({ reason, message: "as the test asked" });
  };
  const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer() {}, finish: () => ({}) };
  const device = {
    limits: { ...DEFAULT_LIMITS, ...limits },
    features: new Set<string>(),
    lost,
    queue: {
      writeBuffer: (buffer: FakeBuffer, _at: number, data: ArrayBufferView) => void (buffer.numBytesWritten += data.byteLength),
      submit: () => void numSubmits++,
      onSubmittedWorkDone: () => Promise.resolve(),
    },
    createBuffer({ label, size }: { readonly label: string; readonly size: number }): FakeBuffer {
      buffers.push(new FakeBuffer(label, size, () => alive));
      return buffers.at(-1)!;
    },
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createComputePipelineAsync: () => Promise.resolve({}),
    createCommandEncoder: () => encoder,
    pushErrorScope: (filter: GPUErrorFilter) => void scopes.push(filter),
    popErrorScope: () => Promise.resolve(failures.get(scopes.pop()!) ?? null),
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
    destroy: () => lose("destroyed"),
  };
  const raise = (message: string): void => {
    events.dispatchEvent(Object.assign(new Event("uncapturederror", { cancelable: true }), { error: { message } }));
  };
  return {
    device: device as unknown as GPUDevice,
    buffers,
    destroyed: () => !alive,
    numSubmits: () => numSubmits,
    lose,
    raise,
    failScopes: (filter, message) => void failures.set(filter, { message }),
  };
}
