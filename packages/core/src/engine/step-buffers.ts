/**
 * Makes the reusable arrays of a step: ModelInput and ModelOutput for given limits.
 * Called by the engine (input) and by runners (output); `shared` puts them where workers see them.
 */
import { MAX_LOGPROBS, type ModelInput, type ModelLimits, type ModelOutput, type SamplingInput } from "../contracts/index.js";

/** Allocates typed arrays in ArrayBuffers, or in SharedArrayBuffers when `shared`. */
export function createModelInput(limits: ModelLimits, shared = false): ModelInput {
  const alloc = allocator(shared);
  const tokens = limits.maxNumBatchedTokens;
  const seqs = limits.maxNumSeqs;
  const maxBlocksPerSeq = Math.ceil(limits.maxModelLen / limits.blockSize);
  return {
    numTokens: 0,
    numSeqs: 0,
    numRows: 0,
    maxBlocksPerSeq,
    inputIds: new Int32Array(alloc(tokens * 4)),
    positions: new Int32Array(alloc(tokens * 4)),
    cuSeqlensQ: new Int32Array(alloc((seqs + 1) * 4)),
    pastLens: new Int32Array(alloc(seqs * 4)),
    blockTables: new Int32Array(alloc(seqs * maxBlocksPerSeq * 4)),
    slotMapping: new Int32Array(alloc(tokens * 4)),
    logitsIndices: new Int32Array(alloc(seqs * 4)),
    rowWants: new Uint8Array(alloc(seqs)),
    sampling: createSamplingInput(seqs, shared),
  };
}

/** @param rows rows of logits in a step, at most */
export function createSamplingInput(rows: number, shared = false): SamplingInput {
  const alloc = allocator(shared);
  return {
    temperature: new Float32Array(alloc(rows * 4)),
    topK: new Int32Array(alloc(rows * 4)),
    topP: new Float32Array(alloc(rows * 4)),
    minP: new Float32Array(alloc(rows * 4)),
    repetitionPenalty: new Float32Array(alloc(rows * 4)),
    presencePenalty: new Float32Array(alloc(rows * 4)),
    frequencyPenalty: new Float32Array(alloc(rows * 4)),
    seed: new Uint32Array(alloc(rows * 8)),
    counter: new Uint32Array(alloc(rows * 4)),
    numLogprobs: new Int32Array(alloc(rows * 4)),
    cuHistory: new Int32Array(alloc((rows + 1) * 4)),
    promptLens: new Int32Array(alloc(rows * 4)),
    historyIds: new Int32Array(alloc(1024 * 4)),
    cuBias: new Int32Array(alloc((rows + 1) * 4)),
    biasIds: new Int32Array(alloc(256 * 4)),
    biasValues: new Float32Array(alloc(256 * 4)),
  };
}

/** `logits` starts with room for no row; a runner that gives rows replaces it. */
export function createModelOutput(rows: number, logits: Float32Array, shared = false): MutableModelOutput {
  const alloc = allocator(shared);
  return {
    numRows: 0,
    status: new Uint8Array(alloc(rows)),
    tokenIds: new Int32Array(alloc(rows * 4)),
    logprobs: new Float32Array(alloc(rows * 4)),
    topIds: new Int32Array(alloc(rows * MAX_LOGPROBS * 4)),
    topLogprobs: new Float32Array(alloc(rows * MAX_LOGPROBS * 4)),
    logits,
    logitsRow: new Int32Array(alloc(rows * 4)),
    timings: { dense: 0, attention: 0, sampling: 0, total: 0 },
  };
}

/** ModelOutput as its owner writes it. */
export type MutableModelOutput = { -readonly [K in keyof ModelOutput]: ModelOutput[K] };

function allocator(shared: boolean): (bytes: number) => ArrayBuffer {
  // TypeScript's typed arrays over a SharedArrayBuffer have another type parameter; readers do not care.
  return (bytes) => (shared ? (new SharedArrayBuffer(bytes) as unknown as ArrayBuffer) : new ArrayBuffer(bytes));
}
