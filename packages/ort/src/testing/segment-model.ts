/** Segments run by hand with attention in plain TypeScript: one prefill of one sequence. For tests. */
import type { ModelSpec } from "@weir/core";
import { qkvFeatures } from "../lowering/emit-attention-inputs.js";
import type { Segment } from "../lowering/segment.js";
import type { SegmentRuntime } from "../segments/segment-runtime.js";
import { SegmentSession } from "../segments/segment-session.js";
import { causalAttention } from "./reference-forward.js";

const MAX_TOKENS = 256;

export class SegmentModel {
  readonly sessions: SegmentSession[];
  readonly #spec: ModelSpec;
  readonly ids: Int32Array = new Int32Array(new SharedArrayBuffer(4 * MAX_TOKENS));
  readonly rows: Int32Array = new Int32Array(new SharedArrayBuffer(4 * MAX_TOKENS));
  readonly residual: Float32Array;
  readonly qkv: Float32Array;
  readonly attention: Float32Array;
  readonly logits: Float32Array;

  constructor(runtime: SegmentRuntime, spec: ModelSpec, segments: readonly Segment[]) {
    this.#spec = spec;
    const { attention } = spec.layers[0]!;
    const shared = (width: number): Float32Array => new Float32Array(new SharedArrayBuffer(4 * MAX_TOKENS * width));
    this.residual = shared(spec.hiddenSize);
    this.qkv = shared(qkvFeatures(attention));
    this.attention = shared(attention.numHeads * attention.vHeadDim);
    this.logits = shared(spec.vocabSize);
    this.sessions = segments.map((segment) => {
      const session = new SegmentSession(runtime, segment);
      session.bind({
        input_ids: this.ids,
        row_indices: this.rows,
        attention: this.attention,
        residual_in: this.residual,
        residual_out: this.residual,
        qkv: this.qkv,
        logits: this.logits,
      });
      return session;
    });
  }

  /** @returns logits of the rows asked for, [rows.length][vocabSize] */
  prefill(ids: readonly number[], rows: readonly number[] = ids.map((_, i) => i)): Float32Array[] {
    this.ids.set(ids);
    this.rows.set(rows);
    this.sessions.forEach((session, i) => {
      session.run(ids.length, rows.length);
      if (i < this.#spec.layers.length) this.#attend(i, ids.length);
    });
    const { vocabSize } = this.#spec;
    return rows.map((_, r) => this.logits.slice(r * vocabSize, (r + 1) * vocabSize));
  }

  dispose(): void {
    for (const session of this.sessions) session.dispose();
  }

  #attend(layer: number, numTokens: number): void {
    const { attention } = this.#spec.layers[layer]!;
    const width = qkvFeatures(attention);
    const packed = Array.from({ length: numTokens }, (_, t) => this.qkv.subarray(t * width, (t + 1) * width));
    causalAttention(attention, packed).forEach((row, t) => this.attention.set(row, t * row.length));
  }
}
