/**
 * SegmentCut: attention is done outside, so each attention ends one graph and begins the next. In: the emitter's
 * calls. Out: numLayers + 1 segments: [embedding .. qkv 0], [attention 0 .. qkv 1], ..., [attention n-1 .. logits].
 */
import type { AttentionSpec, ModelSpec } from "@weir/core";
import type { AfterAttention, AttentionCut, BeforeAttention } from "./attention-cut.js";
import { qkvFeatures } from "./emit-attention-inputs.js";
import { GraphScope } from "./graph-scope.js";
import type { LoweringWeights } from "./graph-scope.js";
import type { Segment, SegmentBuffer, SegmentIo } from "./segment.js";

export class SegmentCut implements AttentionCut {
  readonly segments: Segment[] = [];
  readonly #spec: ModelSpec;
  readonly #weights: LoweringWeights;
  #inputs: SegmentIo[] = [];
  #outputs: SegmentIo[] = [];

  constructor(spec: ModelSpec, weights: LoweringWeights) {
    this.#spec = spec;
    this.#weights = weights;
  }

  begin(): GraphScope {
    const scope = this.#newScope();
    this.#input(scope, { name: "input_ids", type: "i32", rows: "T", width: 0 });
    return scope;
  }

  attend(layer: number, attention: AttentionSpec, { scope, qkv, residual }: BeforeAttention): AfterAttention {
    const { hiddenSize, layers } = this.#spec;
    this.#output(scope, f32("qkv", "T", qkvFeatures(attention)), qkv);
    this.#output(scope, f32("residual_out", "T", hiddenSize), residual);
    this.#close(scope);
    const next = this.#newScope();
    this.#input(next, f32("attention", "T", attention.numHeads * attention.vHeadDim));
    this.#input(next, f32("residual_in", "T", hiddenSize));
    if (layer === layers.length - 1) this.#input(next, { name: "row_indices", type: "i32", rows: "R", width: 0 });
    return { scope: next, attention: "attention", residual: "residual_in" };
  }

  end(scope: GraphScope, logits: string): void {
    this.#output(scope, f32("logits", "R", this.#spec.vocabSize), logits);
    this.#close(scope);
  }

  #newScope(): GraphScope {
    return new GraphScope(`segment.${this.segments.length}`, this.#weights);
  }

  #input(scope: GraphScope, io: SegmentIo): void {
    this.#inputs.push(io);
    scope.graph.input(io.name, io.type, shapeOf(io));
  }

  #output(scope: GraphScope, io: SegmentIo, value: string): void {
    this.#outputs.push(io);
    scope.graph.output(io.name, io.type, shapeOf(io), value);
  }

  #close(scope: GraphScope): void {
    const name = `segment.${this.segments.length}`;
    const { externalDataFolder } = scope;
    this.segments.push({ name, model: scope.graph.build(), externalDataFolder, inputs: this.#inputs, outputs: this.#outputs });
    this.#inputs = [];
    this.#outputs = [];
  }
}

function f32(name: SegmentBuffer, rows: "T" | "R", width: number): SegmentIo {
  return { name, type: "f32", rows, width };
}

function shapeOf({ rows, width }: SegmentIo): (string | number)[] {
  return width === 0 ? [rows] : [rows, width];
}
