/**
 * NativeHandle: one opaque struct of ONNX Runtime, owned by one JavaScript object and released by `dispose()`.
 */
import { DisposedError } from "@weir/core";
import type { OrtFunctionName, Pointer } from "./functions.js";
import type { HandleKind } from "./handle-counter.js";
import type { OrtLibrary } from "./library.js";

export abstract class NativeHandle {
  readonly library: OrtLibrary;
  readonly #kind: HandleKind;
  readonly #release: OrtFunctionName;
  #pointer: Pointer | undefined;

  constructor(library: OrtLibrary, kind: HandleKind, release: OrtFunctionName, pointer: Pointer) {
    this.library = library;
    this.#kind = kind;
    this.#release = release;
    this.#pointer = pointer;
    library.handles.opened(kind, this);
  }

  /** @throws DisposedError */
  get pointer(): Pointer {
    if (this.#pointer === undefined) throw new DisposedError(`this ONNX Runtime ${this.#kind} was disposed; make a new one`);
    return this.#pointer;
  }

  get disposed(): boolean {
    return this.#pointer === undefined;
  }

  /** Releases the handle. Idempotent. */
  dispose(): void {
    if (this.#pointer === undefined) return;
    this.library.fn(this.#release)(this.#pointer);
    this.#pointer = undefined;
    this.library.handles.closed(this.#kind, this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
