/**
 * Helper threads that share a job with the calling thread. A job is opened, helpers that wake up in time join it,
 * the caller closes it and waits only for those who joined: a helper that the system schedules late costs nothing.
 * Helpers sleep between jobs, since the dense parts want the cores.
 */
import { Worker } from "node:worker_threads";
import { InternalError } from "@weir/core";
import { helperMain, type HelperData } from "./helper-main.js";
import type { KernelMemory } from "./kernel-memory.js";
import type { WasmModule } from "./webassembly.js";

/** Words of the control block. */
const GENERATION = 0;
/** Helpers in the job; CLOSED is added while none may join. */
const STATE = 1;
const MEMORY = 2;
const LAYER = 3;
const FAILED = 4;
const CLOSED = 1 << 20;
/** Polls before the caller sleeps: helpers finish their last item at about the same time. */
const SPINS = 20_000;

export class ThreadPool {
  readonly #control = new Int32Array(new SharedArrayBuffer(64));
  readonly #memories: readonly KernelMemory[];
  readonly #workers: Worker[] = [];

  /** @param helpers threads besides the calling one */
  constructor(memories: readonly KernelMemory[], module: WasmModule, helpers: number) {
    this.#memories = memories;
    this.#control[STATE] = CLOSED;
    const data = { control: this.#control, module, memories: memories.map(({ memory }) => memory) };
    for (let thread = 1; thread <= helpers; thread++) this.#workers.push(this.#start({ ...data, thread }));
  }

  /** Resolves when every helper waits for work. */
  async ready(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => once(worker)));
  }

  /** Runs the kernel on the layer at `descriptor` with all threads that come in time. */
  run(memory: number, descriptor: number): void {
    const control = this.#control;
    control[MEMORY] = memory;
    control[LAYER] = descriptor;
    Atomics.store(control, STATE, 0);
    Atomics.add(control, GENERATION, 1);
    Atomics.notify(control, GENERATION);
    try {
      this.#memories[memory]!.kernel.work(descriptor, 0);
    } finally {
      this.#close();
    }
    if (Atomics.load(control, FAILED) !== 0)
      throw new InternalError("attention: a helper thread failed; the output of this step is not valid");
  }

  /** Idempotent. */
  async dispose(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  #close(): void {
    const control = this.#control;
    let state = Atomics.add(control, STATE, CLOSED) + CLOSED;
    for (let i = 0; state !== CLOSED && i < SPINS; i++) state = Atomics.load(control, STATE);
    while (state !== CLOSED) {
      Atomics.wait(control, STATE, state);
      state = Atomics.load(control, STATE);
    }
  }

  #start(workerData: HelperData): Worker {
    // From source text: no file of its own has to be found by bundlers and test runners.
    const code = `(${helperMain.toString()})(require("node:worker_threads"))`;
    const worker = new Worker(code, { eval: true, workerData, execArgv: [], name: "weir-attention" });
    worker.on("error", () => Atomics.store(this.#control, FAILED, 1));
    worker.unref();
    return worker;
  }
}

function once(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("message", () => {
      worker.unref();
      resolve();
    });
    worker.once("error", reject);
    worker.ref();
  });
}
