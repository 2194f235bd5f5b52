/**
 * Segment: the graph between two attentions, ready to be loaded. Plain data.
 * Rows vary from run to run: "T" are the step's tokens, "R" its rows of logits.
 */
import type { ElementName } from "../graph/element-type.js";

/** Inputs and outputs that a segment may have, by the graph's names. */
export type SegmentBuffer = "input_ids" | "row_indices" | "attention" | "residual_in" | "residual_out" | "qkv" | "logits";

export interface SegmentIo {
  readonly name: SegmentBuffer;
  readonly type: ElementName;
  readonly rows: "T" | "R";
  /** Features per row; 0: the rows are scalars. */
  readonly width: number;
}

export interface Segment {
  /** For profiles and errors, e.g. "segment.3". */
  readonly name: string;
  /** Serialized ONNX model; its weights stay in their files. */
  readonly model: Uint8Array;
  /** What the model's external data paths are relative to. */
  readonly externalDataFolder: string;
  readonly inputs: readonly SegmentIo[];
  readonly outputs: readonly SegmentIo[];
}
