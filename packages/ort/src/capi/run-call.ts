/**
 * RunCall: a session's Run() with its arguments kept in native tables: names are written once, values are
 * pointers that may be exchanged between runs. In: one OrtValue per input and output. Out: filled outputs.
 * A run allocates nothing in JavaScript; exchanging a value is one store.
 */
import { InternalError } from "@weir/core";
import type { NativeFunction, Pointer } from "./functions.js";
import type { OrtLibrary } from "./library.js";
import type { TensorHandle } from "./tensor-handle.js";
import type { Session } from "./session.js";

export class RunCall {
  readonly #session: Session;
  readonly #run: NativeFunction;
  readonly #inputs: PointerTable;
  readonly #outputs: PointerTable;

  constructor(session: Session) {
    this.#session = session;
    this.#run = session.library.fn("Run");
    this.#inputs = new PointerTable(session.library, session.inputNames);
    this.#outputs = new PointerTable(session.library, session.outputNames);
  }

  /** The value must stay undisposed until it is replaced or the last run is over. */
  setInput(name: string, value: TensorHandle): void {
    this.#inputs.set(name, value);
  }

  setOutput(name: string, value: TensorHandle): void {
    this.#outputs.set(name, value);
  }

  /** Runs on the calling thread. @throws InternalError when an input or output was never set */
  run(): void {
    const inputs = this.#inputs;
    const outputs = this.#outputs;
    const session = this.#session;
    if (inputs.missing + outputs.missing > 0) this.#requireComplete();
    const status = this.#run(
      session.pointer,
      null,
      inputs.names,
      inputs.values,
      inputs.length,
      outputs.names,
      outputs.length,
      outputs.values,
    );
    session.library.check(status, "run");
  }

  /** Runs off the event loop. Values must not be exchanged or disposed until it settles. */
  runAsync(): Promise<void> {
    const [inputs, outputs, session] = [this.#inputs, this.#outputs, this.#session];
    this.#requireComplete();
    return new Promise((resolve, reject) => {
      const done = (error: unknown, status: Pointer | null): void => {
        try {
          if (error) throw error;
          session.library.check(status, "run");
          resolve();
        } catch (reason) {
          reject(reason as Error);
        }
      };
      this.#run.async(
        session.pointer,
        null,
        inputs.names,
        inputs.values,
        inputs.length,
        outputs.names,
        outputs.length,
        outputs.values,
        done,
      );
    });
  }

  #requireComplete(): void {
    if (this.#inputs.missing === 0 && this.#outputs.missing === 0) return;
    throw new InternalError(`values are missing for ${[...this.#inputs.unset(), ...this.#outputs.unset()].join(", ")}`);
  }
}

/** `const char* names[]` and `OrtValue* values[]` at addresses that do not move. */
class PointerTable {
  readonly length: number;
  readonly names: Pointer;
  readonly values: Pointer;
  readonly #index: ReadonlyMap<string, number>;
  readonly #values: BigUint64Array;
  readonly #held: (TensorHandle | undefined)[];
  /** The memory behind `names`; the field only keeps it referenced. */
  readonly memory: readonly ArrayBufferView[];
  missing: number;

  constructor(library: OrtLibrary, names: readonly string[]) {
    // An ArrayBuffer of its own: small typed arrays would live on the JavaScript heap, which moves.
    const text = new Uint8Array(new ArrayBuffer(4096 + names.join("").length * 4));
    const pointers = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, names.length)));
    this.#values = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, names.length)));
    let offset = 0;
    names.forEach((name, i) => {
      pointers[i] = library.address(text) + BigInt(offset);
      offset += new TextEncoder().encodeInto(name, text.subarray(offset)).written + 1;
    });
    this.memory = [text, pointers];
    this.names = library.address(pointers);
    this.values = library.address(this.#values);
    this.length = names.length;
    this.#index = new Map(names.map((name, i) => [name, i]));
    this.#held = names.map(() => undefined);
    this.missing = names.length;
  }

  set(name: string, value: TensorHandle): void {
    const index = this.#index.get(name);
    if (index === undefined)
      throw new InternalError(`the model has no ${JSON.stringify(name)}; it has ${[...this.#index.keys()].join(", ")}`);
    if (!this.#held[index]) this.missing--;
    this.#held[index] = value;
    this.#values[index] = value.pointer;
  }

  unset(): string[] {
    return [...this.#index.keys()].filter((_, i) => !this.#held[i]);
  }
}
