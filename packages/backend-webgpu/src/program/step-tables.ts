/**
 * StepTables: what a ModelInput says, in the form that the kernels read (contracts/wgsl-attention.ts names it).
 * Sized once by ModelLimits; a step writes only what it uses.
 */
import type { ModelInput, ModelLimits } from "@weir/core";
import { BUFFER_USAGE } from "../gpu/flags.js";
import type { GpuBuffers } from "../gpu/gpu-buffers.js";

const TOKEN_FIELDS = 4;
const SEQUENCE_FIELDS = 2;

export class StepTables {
  readonly #sizes = new Uint32Array(4);
  /** [maxNumBatchedTokens, 4] i32: id, position, slot, sequence */
  readonly #tokens: Int32Array<ArrayBuffer>;
  /** [maxNumSeqs, 2] i32: first token, tokens cached before */
  readonly #sequences: Int32Array<ArrayBuffer>;

  constructor({ maxNumBatchedTokens, maxNumSeqs }: ModelLimits) {
    this.#tokens = new Int32Array(maxNumBatchedTokens * TOKEN_FIELDS);
    this.#sequences = new Int32Array(maxNumSeqs * SEQUENCE_FIELDS);
  }

  /** Buffer to bytes. */
  static sizes({ maxNumBatchedTokens, maxNumSeqs, maxModelLen, blockSize }: ModelLimits): ReadonlyMap<string, number> {
    return new Map([
      ["tokens", maxNumBatchedTokens * TOKEN_FIELDS * 4],
      ["sequences", maxNumSeqs * SEQUENCE_FIELDS * 4],
      ["blockTables", maxNumSeqs * Math.ceil(maxModelLen / blockSize) * 4],
      ["rows", maxNumSeqs * 4],
    ]);
  }

  create(buffers: GpuBuffers, limits: ModelLimits): void {
    buffers.create("step", this.#sizes.byteLength, BUFFER_USAGE.uniform | BUFFER_USAGE.copyDst);
    for (const [name, bytes] of StepTables.sizes(limits)) buffers.create(name, bytes, BUFFER_USAGE.storage | BUFFER_USAGE.copyDst);
  }

  write(queue: GPUQueue, buffers: GpuBuffers, input: ModelInput): void {
    const { numTokens, numSeqs, numRows, maxBlocksPerSeq } = input;
    this.#sizes.set([numTokens, numSeqs, numRows, maxBlocksPerSeq]);
    for (let sequence = 0; sequence < numSeqs; sequence++) this.#fillSequence(input, sequence);
    queue.writeBuffer(buffers.get("step"), 0, this.#sizes);
    queue.writeBuffer(buffers.get("tokens"), 0, this.#tokens, 0, numTokens * TOKEN_FIELDS);
    queue.writeBuffer(buffers.get("sequences"), 0, this.#sequences, 0, numSeqs * SEQUENCE_FIELDS);
    queue.writeBuffer(buffers.get("blockTables"), 0, input.blockTables as Int32Array<ArrayBuffer>, 0, numSeqs * maxBlocksPerSeq);
    queue.writeBuffer(buffers.get("rows"), 0, input.logitsIndices as Int32Array<ArrayBuffer>, 0, numRows);
  }

  #fillSequence({ inputIds, positions, slotMapping, cuSeqlensQ, pastLens }: ModelInput, sequence: number): void {
    const first = cuSeqlensQ[sequence]!;
    this.#sequences[sequence * SEQUENCE_FIELDS] = first;
    this.#sequences[sequence * SEQUENCE_FIELDS + 1] = pastLens[sequence]!;
    for (let token = first; token < cuSeqlensQ[sequence + 1]!; token++) {
      const at = token * TOKEN_FIELDS;
      this.#tokens[at] = inputIds[token]!;
      this.#tokens[at + 1] = positions[token]!;
      this.#tokens[at + 2] = slotMapping[token]!;
      this.#tokens[at + 3] = sequence;
    }
  }
}
