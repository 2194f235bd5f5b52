/**
 * A ModelSpec's tensors in memory as f32, shaped for the forward pass. Called by the reference backend's loadModel.
 * Another weight scheme is what its quantizer makes of each dense layer, dequantized again.
 */
import type { LinearSpec, LoadModelOptions, ModelSpec, NormSpec, Quantizer, WeightSource } from "../../contracts/index.js";
import { AbortedError, ModelLoadError } from "../../errors/index.js";
import { specTensors } from "../../model/spec-tensors.js";
import { readTensor } from "../../weights/read-tensor.js";
import type { NormWeights } from "./math.js";

export interface LinearWeights {
  /** [outFeatures, inFeatures] f32 */
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly outFeatures: number;
}

export interface LayerWeights {
  readonly attentionNorm: NormWeights;
  readonly q: LinearWeights;
  readonly k: LinearWeights;
  readonly v: LinearWeights;
  readonly o: LinearWeights;
  readonly qNorm: NormWeights | undefined;
  readonly kNorm: NormWeights | undefined;
  /** [numHeads] f32 */
  readonly sinks: Float32Array | undefined;
  readonly mlpNorm: NormWeights;
  readonly gate: LinearWeights | undefined;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
}

export interface ModelWeights {
  /** [vocabSize, hiddenSize] f32 */
  readonly embedding: Float32Array;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: NormWeights;
  readonly head: LinearWeights;
  readonly bytes: number;
}

/** @throws ModelLoadError, AbortedError */
export async function loadWeights(spec: ModelSpec, source: WeightSource, options: LoadModelOptions): Promise<ModelWeights> {
  const reader = new WeightReader(spec, source, options);
  const embedding = await reader.tensor(spec.embedding.weight, spec.vocabSize * spec.hiddenSize);
  const layers: LayerWeights[] = [];
  for (const layer of spec.layers) {
    const { attention, mlp } = layer;
    layers.push({
      attentionNorm: await reader.norm(layer.attentionNorm),
      q: await reader.linear(attention.q),
      k: await reader.linear(attention.k),
      v: await reader.linear(attention.v),
      o: await reader.linear(attention.o),
      qNorm: attention.qNorm && (await reader.norm(attention.qNorm)),
      kNorm: attention.kNorm && (await reader.norm(attention.kNorm)),
      sinks: attention.sinks === undefined ? undefined : await reader.tensor(attention.sinks, attention.numHeads),
      mlpNorm: await reader.norm(layer.mlpNorm),
      gate: mlp.gate && (await reader.linear(mlp.gate)),
      up: await reader.linear(mlp.up),
      down: await reader.linear(mlp.down),
    });
  }
  const finalNorm = await reader.norm(spec.finalNorm);
  const plainTiedHead = spec.head.tied && !reader.quantizer;
  const head = plainTiedHead ? { weight: embedding, bias: undefined, outFeatures: spec.vocabSize } : await reader.linear(spec.head.linear);
  return { embedding, layers, finalNorm, head, bytes: reader.bytes };
}

class WeightReader {
  readonly quantizer: Quantizer | undefined;
  bytes = 0;
  readonly #source: WeightSource;
  readonly #options: LoadModelOptions;
  readonly #bytesTotal: number;

  constructor(spec: ModelSpec, source: WeightSource, options: LoadModelOptions) {
    this.#source = source;
    this.#options = options;
    this.quantizer = options.weightScheme === "f32" ? undefined : options.quantizer;
    this.#bytesTotal = [...specTensors(spec).values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
  }

  async tensor(name: string, count: number, first = 0): Promise<Float32Array> {
    if (this.#options.signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: this.#options.signal.reason });
    const available = this.#source.tensors.get(name)?.shape.reduce((a, b) => a * b, 1) ?? 0;
    if (first + count > available) throw new ModelLoadError(`tensor ${name} has ${available} elements; ${first + count} are needed`);
    const values = await readTensor(this.#source, name, { first, count });
    this.bytes += values.byteLength;
    this.#options.onProgress?.({ stage: "open", bytesDone: Math.min(this.bytes, this.#bytesTotal), bytesTotal: this.#bytesTotal });
    return values;
  }

  async linear(spec: LinearSpec): Promise<LinearWeights> {
    const { inFeatures, outFeatures, rowOffset = 0 } = spec;
    const stored = spec.transposed
      ? await this.#transposedRows(spec)
      : await this.tensor(spec.weight, outFeatures * inFeatures, rowOffset * inFeatures);
    const weight = this.quantizer
      ? this.quantizer.dequantize(this.quantizer.quantize({ name: spec.weight, inFeatures, outFeatures, weight: stored }))
      : stored;
    const bias = spec.bias === undefined ? undefined : await this.tensor(spec.bias, outFeatures, rowOffset);
    return { weight, bias, outFeatures };
  }

  async norm(spec: NormSpec): Promise<NormWeights> {
    const { kind, epsilon } = spec;
    const size = this.#source.tensors.get(spec.weight)?.shape[0] ?? 0;
    const weight = await this.tensor(spec.weight, size);
    if (spec.onePlus) weight.forEach((value, i) => (weight[i] = value + 1));
    const bias = spec.bias === undefined ? undefined : await this.tensor(spec.bias, size);
    return { kind, epsilon, weight, bias };
  }

  /** Of a weight stored [inFeatures, allRows]: rows [rowOffset, rowOffset + outFeatures) as [outFeatures, inFeatures]. */
  async #transposedRows({ weight: name, inFeatures, outFeatures, rowOffset = 0 }: LinearSpec): Promise<Float32Array> {
    const allRows = this.#source.tensors.get(name)?.shape[1] ?? 0;
    const stored = await this.tensor(name, inFeatures * allRows);
    const weight = new Float32Array(outFeatures * inFeatures);
    for (let o = 0; o < outFeatures; o++) {
      for (let i = 0; i < inFeatures; i++) weight[o * inFeatures + i] = stored[i * allRows + rowOffset + o]!;
    }
    return weight;
  }
}
