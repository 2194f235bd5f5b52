/** StepGraph: a model on a device, as the runner sees it: `ModelGraph`, or a test's. Methods are called one at a time. */
import type { StepArrays } from "./step-arrays.js";

export interface StepGraph {
  readonly kv: {
    readonly blockBytes: number;
    readonly reservedBytes: number;
    copyBlocks(pairs: Int32Array): Promise<void>;
    readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void>;
    writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void>;
  };
  /** [maxNumSeqs, vocabSize] f32; the first rows are those of the last run */
  readonly logits: Float32Array;
  run(arrays: StepArrays): Promise<void>;
  dispose(): void;
}
