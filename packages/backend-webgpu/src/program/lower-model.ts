/**
 * lowerModel: a ModelSpec as a list of dispatches over named buffers, the buffers' sizes, and the plan of the weights.
 * In: spec, limits, the attention kernel, how much one binding holds. Out: plain data; the device comes later.
 */
import type { LayerSpec, LinearSpec, ModelLimits, ModelSpec, NormSpec, WgslAttention } from "@weir/core";
import { embed } from "../kernels/embed.js";
import { gatedSilu } from "../kernels/gated-silu.js";
import type { MatmulSizes } from "../kernels/matmul.js";
import { rmsNorm } from "../kernels/rms-norm.js";
import type { Dispatch } from "../kernels/wgsl.js";
import { linearDispatches } from "./linear-dispatches.js";
import { RopePlan } from "./rope-plan.js";
import { type MatrixPart, WeightPlan } from "./weight-plan.js";

export interface LoweredModel {
  readonly dispatches: readonly Dispatch[];
  readonly weights: WeightPlan;
  readonly ropes: RopePlan;
  /** Bytes per buffer of activations. */
  readonly activations: ReadonlyMap<string, number>;
  /** Content of uniform buffers that never changes. */
  readonly constants: ReadonlyMap<string, Uint32Array<ArrayBuffer>>;
  /** [layers] bytes of one block */
  readonly kvBlocks: readonly { readonly keys: number; readonly values: number }[];
}

export function lowerModel(spec: ModelSpec, limits: ModelLimits, attention: WgslAttention, maxBindingBytes: number): LoweredModel {
  return new Lowering(spec, limits, attention, maxBindingBytes).run();
}

class Lowering {
  readonly #spec: ModelSpec;
  readonly #limits: ModelLimits;
  readonly #attention: WgslAttention;
  readonly #weights: WeightPlan;
  readonly #ropes = new RopePlan();
  readonly #dispatches: Dispatch[] = [];
  readonly #activations = new Map<string, number>();
  readonly #constants = new Map<string, Uint32Array<ArrayBuffer>>();
  readonly #kvBlocks: { keys: number; values: number }[] = [];

  constructor(spec: ModelSpec, limits: ModelLimits, attention: WgslAttention, maxBindingBytes: number) {
    this.#spec = spec;
    this.#limits = limits;
    this.#attention = attention;
    this.#weights = new WeightPlan(maxBindingBytes);
  }

  run(): LoweredModel {
    const { hiddenSize, embedding, vocabSize } = this.#spec;
    const { maxNumSeqs } = this.#limits;
    this.#perToken("hidden", hiddenSize);
    this.#perToken("normed", hiddenSize);
    const table = this.#weights.matrix("embedding", [{ weight: embedding.weight, inFeatures: hiddenSize, outFeatures: vocabSize }]);
    for (const { buffer, firstRow, numRows } of table) {
      this.#dispatches.push(embed({ hiddenSize, firstRow, numRows, scale: embedding.scale ?? 1 }, { table: buffer, hidden: "hidden" }));
    }
    this.#spec.layers.forEach((layer, index) => this.#layer(layer, index));
    this.#norm("finalNorm", this.#spec.finalNorm, "lastNormed", true);
    this.#activation("lastNormed", maxNumSeqs * hiddenSize);
    this.#activation("logits", maxNumSeqs * vocabSize);
    const head = this.#spec.head.linear;
    const parts = this.#spec.head.tied ? table : this.#weights.matrix("head", [head]);
    this.#matmul("head", [head], parts, { x: "lastNormed", out: "logits", accumulate: false, rows: "numRows" });
    return {
      dispatches: this.#dispatches,
      weights: this.#weights,
      ropes: this.#ropes,
      activations: this.#activations,
      constants: this.#constants,
      kvBlocks: this.#kvBlocks,
    };
  }

  #layer({ attentionNorm, attention, mlpNorm, mlp }: LayerSpec, index: number): void {
    const { q, k, v, o } = attention;
    const name = `layers.${index}`;
    this.#norm(`${name}.attentionNorm`, attentionNorm, "normed");
    this.#perToken("qkv", this.#linear(`${name}.qkv`, [q, k, v], { x: "normed", out: "qkv" }));
    this.#attend(index);
    this.#perToken("output", attention.numHeads * attention.vHeadDim);
    this.#linear(`${name}.o`, [o], { x: "output", out: "hidden", accumulate: true });
    this.#norm(`${name}.mlpNorm`, mlpNorm, "normed");
    const { gate, up, down } = mlp;
    this.#perToken("gateUp", this.#linear(`${name}.gateUp`, [gate!, up], { x: "normed", out: "gateUp" }));
    this.#perToken("gated", up.outFeatures);
    this.#dispatches.push(gatedSilu(up.outFeatures, { gateUp: "gateUp", out: "gated" }));
    this.#linear(`${name}.down`, [down], { x: "gated", out: "hidden", accumulate: true });
  }

  /** The kernel's dispatches, its names resolved to this layer's buffers. */
  #attend(index: number): void {
    const { rope } = this.#spec.layers[index]!.attention;
    const ofLayer: Record<string, string> = { keys: `keys.${index}`, values: `values.${index}` };
    if (rope) ofLayer["rope"] = this.#ropes.add(rope);
    const { dispatches, keyBlockBytes, valueBlockBytes, scratchBytes = 0 } = this.#attention.plan(index);
    for (const dispatch of dispatches) {
      const bindings = dispatch.bindings.map(({ buffer, access }) => ({ buffer: ofLayer[buffer] ?? buffer, access }));
      this.#dispatches.push({ ...dispatch, label: `${dispatch.label} of layer ${index}`, bindings });
    }
    this.#kvBlocks.push({ keys: keyBlockBytes, values: valueBlockBytes });
    this.#activation("scratch", scratchBytes / 4);
  }

  #norm(name: string, { weight, epsilon, onePlus = false }: NormSpec, normed: string, gather = false): void {
    const size = this.#spec.hiddenSize;
    const buffer = this.#weights.vector(name, weight, size, onePlus);
    this.#dispatches.push(rmsNorm({ size, epsilon, gather }, { x: "hidden", weight: buffer, normed }));
  }

  /** @returns elements of a row of the result */
  #linear(
    name: string,
    linears: readonly LinearSpec[],
    { x, out, accumulate = false }: { readonly x: string; readonly out: string; readonly accumulate?: boolean },
  ): number {
    return this.#matmul(name, linears, this.#weights.matrix(name, linears), { x, out, accumulate, rows: "numTokens" });
  }

  #matmul(
    name: string,
    linears: readonly LinearSpec[],
    parts: readonly MatrixPart[],
    { x, out, accumulate, rows }: Pick<MatmulSizes, "accumulate" | "rows"> & { readonly x: string; readonly out: string },
  ): number {
    const outStride = linears.reduce((sum, { outFeatures }) => sum + outFeatures, 0);
    const bias = this.#weights.biases(`${name}.bias`, linears);
    const { inFeatures } = linears[0]!;
    for (const { buffer, firstRow, numRows } of parts) {
      const sizes = { inFeatures, numColumns: numRows, firstColumn: firstRow, outStride, bias: bias !== undefined, accumulate, rows };
      const buffers = { x, weight: buffer, result: out, ...(bias === undefined ? {} : { bias }) };
      this.#dispatches.push(...linearDispatches(sizes, buffers, (values) => this.#constant(values)));
    }
    return outStride;
  }

  #constant(values: Uint32Array<ArrayBuffer>): string {
    const name = `constants ${values.join()}`;
    this.#constants.set(name, values);
    return name;
  }

  #perToken(name: string, size: number): void {
    this.#activation(name, this.#limits.maxNumBatchedTokens * size);
  }

  /** Layers share the buffer: it has the size of the largest. */
  #activation(name: string, size: number): void {
    this.#activations.set(name, Math.max(this.#activations.get(name) ?? 0, size * 4));
  }
}
