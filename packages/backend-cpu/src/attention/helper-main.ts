/**
 * What a helper thread of the ThreadPool runs. Sent to the worker as source text, so it must not use anything
 * outside its own body.
 */
import type { KernelExports, WasmApi, WasmMemory, WasmModule } from "./webassembly.js";

export interface HelperData {
  /** As ThreadPool names its words */
  readonly control: Int32Array;
  readonly module: WasmModule;
  readonly memories: readonly WasmMemory[];
  readonly thread: number;
}

interface WorkerThreads {
  readonly workerData: HelperData;
  readonly parentPort: { postMessage(message: string): void };
}

export function helperMain({ workerData, parentPort }: WorkerThreads): void {
  const [GENERATION, STATE, MEMORY, LAYER, FAILED, CLOSED] = [0, 1, 2, 3, 4, 1 << 20] as const;
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WasmApi };
  const { control, module, memories, thread } = workerData;
  const kernels = memories.map((memory) => {
    return new WebAssembly.Instance(module, { env: { memory } }).exports as KernelExports;
  });
  let seen = Atomics.load(control, GENERATION);
  parentPort.postMessage("ready");
  for (;;) {
    Atomics.wait(control, GENERATION, seen);
    seen = Atomics.load(control, GENERATION);
    if (!join()) continue;
    try {
      kernels[control[MEMORY]!]!.work(control[LAYER]! >>> 0, thread);
    } catch {
      Atomics.store(control, FAILED, 1);
    }
    if (Atomics.sub(control, STATE, 1) === CLOSED + 1) Atomics.notify(control, STATE);
  }

  function join(): boolean {
    for (let state = Atomics.load(control, STATE); state < CLOSED; state = Atomics.load(control, STATE)) {
      if (Atomics.compareExchange(control, STATE, state, state + 1) === state) return true;
    }
    return false;
  }
}
