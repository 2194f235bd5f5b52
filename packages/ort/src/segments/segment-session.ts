/**
 * SegmentSession: a segment in ONNX Runtime, with its inputs and outputs laid over the runner's buffers.
 * In: typed arrays, once, then row counts per step. Out: filled buffers. Runs on the calling thread and the pool.
 * With unchanged row counts a run allocates nothing; ONNX Runtime adds about a microsecond to its kernels' time.
 */
import { InternalError } from "@weir/core";
import type { Pointer } from "../capi/functions.js";
import type { TensorArray } from "../capi/ort-value.js";
import { RunCall } from "../capi/run-call.js";
import { Session } from "../capi/session.js";
import type { Segment, SegmentBuffer, SegmentIo } from "../lowering/segment.js";
import type { SegmentRuntime } from "./segment-runtime.js";

export interface SegmentSessionOptions {
  /** Prefix of a per-operator profile's path; see `endProfiling`. */
  readonly profilePrefix?: string;
  /** Default true: weights are repacked for the kernels, and the file's pages are let go. */
  readonly prepacking?: boolean;
}

/** Buffers by name; each holds at least rows * width elements of the segment's io. */
export type SegmentBuffers = Readonly<Partial<Record<SegmentBuffer, TensorArray>>>;

export class SegmentSession {
  readonly segment: Segment;
  readonly #runtime: SegmentRuntime;
  readonly #session: Session;
  readonly #call: RunCall;
  #buffers: SegmentBuffers = {};
  #boundTokens = -1;
  #boundRows = -1;
  #boundGeneration = -1;

  /** Loads the segment: its weights are read now. @throws ModelLoadError */
  constructor(runtime: SegmentRuntime, segment: Segment, options: SegmentSessionOptions = {}) {
    this.segment = segment;
    this.#runtime = runtime;
    this.#session = new Session(runtime.env, segment.model, {
      ...runtime.sessionOptions,
      externalDataFolder: segment.externalDataFolder,
      ...options,
    });
    this.#call = new RunCall(this.#session);
  }

  /**
   * Says where inputs are read and outputs written; kept until the next call. The arrays must stay in place:
   * not detached, not grown. residual_in and residual_out may be one array.
   * @throws InternalError when one is missing or of the wrong type
   */
  bind(buffers: SegmentBuffers): void {
    for (const io of [...this.segment.inputs, ...this.segment.outputs]) {
      const array = buffers[io.name];
      if (!(array instanceof ARRAYS[io.type])) throw new InternalError(`${this.segment.name} needs a buffer of ${io.type} for ${io.name}`);
    }
    this.#buffers = buffers;
    this.#boundTokens = -1;
  }

  /**
   * Computes the first `numTokens` rows, and in the last segment the `numRows` rows that row_indices names.
   * Both must be at least 1. MatMulNBits computes the last of an odd number of rows differently, so a strict
   * runner pads both counts to even for int4 (`paddedRows`); what the padding rows hold does not matter.
   */
  run(numTokens: number, numRows: number = numTokens): void {
    this.#place(numTokens, numRows);
    this.#call.run();
  }

  /** The same off the calling thread; nothing else of this runtime may run until it settles. */
  runAsync(numTokens: number, numRows: number = numTokens): Promise<void> {
    this.#place(numTokens, numRows);
    return this.#call.runAsync();
  }

  /** Of the native session, for `releaseSession` should this thread be lost. */
  get address(): Pointer {
    return this.#session.pointer;
  }

  /** Ends the profile. @returns the path of a Chrome trace */
  endProfiling(): string {
    return this.#session.endProfiling();
  }

  /** Idempotent. */
  dispose(): void {
    this.#session.dispose();
  }

  #place(numTokens: number, numRows: number): void {
    const { tensors } = this.#runtime;
    if (numTokens === this.#boundTokens && numRows === this.#boundRows && tensors.generation === this.#boundGeneration) return;
    for (const io of this.segment.inputs) this.#call.setInput(io.name, this.#tensor(io, numTokens, numRows));
    for (const io of this.segment.outputs) this.#call.setOutput(io.name, this.#tensor(io, numTokens, numRows));
    this.#boundTokens = numTokens;
    this.#boundRows = numRows;
    this.#boundGeneration = tensors.generation;
  }

  #tensor({ name, rows, width }: SegmentIo, numTokens: number, numRows: number): ReturnType<SegmentRuntime["tensors"]["get"]> {
    const array = this.#buffers[name];
    if (!array) throw new InternalError(`${this.segment.name} was run before bind()`);
    return this.#runtime.tensors.get(array, rows === "T" ? numTokens : numRows, width);
  }
}

const ARRAYS = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, i64: BigInt64Array, i8: Int8Array, u8: Uint8Array } as const;
