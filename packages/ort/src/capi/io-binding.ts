/**
 * OrtIoBinding: a session's inputs and outputs fixed to values, then run again and again.
 * `RunCall` does the same without an object per shape, on devices too, and brings host inputs there within the run.
 */
import { NativeHandle } from "./handle.js";
import type { TensorHandle } from "./tensor-handle.js";
import type { Session } from "./session.js";

export class IoBinding extends NativeHandle {
  readonly #session: Session;
  /** Keeps bound values, and through them their memory, referenced. */
  readonly #bound = new Map<string, TensorHandle>();

  constructor(session: Session) {
    super(session.library, "io-binding", "ReleaseIoBinding", session.library.out("CreateIoBinding", "binding", session.pointer));
    this.#session = session;
  }

  bindInput(name: string, value: TensorHandle): void {
    this.library.check(this.library.fn("BindInput")(this.pointer, name, value.pointer), `bind input ${name}`);
    this.#bound.set(`in:${name}`, value);
  }

  bindOutput(name: string, value: TensorHandle): void {
    this.library.check(this.library.fn("BindOutput")(this.pointer, name, value.pointer), `bind output ${name}`);
    this.#bound.set(`out:${name}`, value);
  }

  /** Runs on the calling thread, which works too; for worker threads. Nothing is allocated. */
  run(): void {
    this.library.check(this.library.fn("RunWithBinding")(this.#session.pointer, null, this.pointer), "run");
  }

  /** Runs off the event loop. The binding must not be changed, run or disposed until it settles. */
  runAsync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.library.fn("RunWithBinding").async(this.#session.pointer, null, this.pointer, (error, status) => {
        try {
          if (error) throw error;
          this.library.check(status, "run");
          resolve();
        } catch (reason) {
          reject(reason as Error);
        }
      });
    });
  }

  clear(): void {
    this.library.fn("ClearBoundInputs")(this.pointer);
    this.library.fn("ClearBoundOutputs")(this.pointer);
    this.#bound.clear();
  }
}
