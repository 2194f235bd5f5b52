/**
 * GraphScope: one graph under construction with what the emitters share: where weights lie, small constants, and
 * the quantized form of activations, so that linears with the same input quantize it once.
 */
import { InternalError } from "@weir/core";
import type { LinearSpec } from "@weir/core";
import { parse, relative } from "node:path";
import { toF16 } from "../graph/float16.js";
import { GraphBuilder } from "../graph/graph-builder.js";
import type { PreparedWeights, StoredTensor } from "../weights/prepared-weights.js";

/** What is lowered, beside the spec. */
export interface LoweringWeights {
  readonly prepared: PreparedWeights;
  /** Norm weights and biases by tensor name, f32. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** u8 activations with zero point 128, and the f32 factor per row. */
export interface QuantizedActivation {
  readonly value: string;
  readonly rowScale: string;
}

export class GraphScope {
  readonly graph: GraphBuilder;
  readonly weights: LoweringWeights;
  readonly quantized: Map<string, QuantizedActivation> = new Map();
  /** Type of activations, vectors and scalars; dense weights must have it. */
  readonly float: "f32" | "f16";
  /** Place in a file -> name: a tied head and the embedding are one initializer. */
  readonly #stored = new Map<string, string>();
  #root: string | undefined;

  constructor(name: string, weights: LoweringWeights, float: "f32" | "f16" = "f32") {
    this.graph = new GraphBuilder(name);
    this.weights = weights;
    this.float = float;
  }

  /** Root of the file system that external data paths are relative to; "" without external data. */
  get externalDataFolder(): string {
    return this.#root ?? "";
  }

  /** A weight that stays in its file. */
  stored(name: string, { type, shape, path, byteOffset, byteLength }: StoredTensor): string {
    const { root } = parse(path);
    this.#root ??= root;
    if (root !== this.#root) throw new InternalError(`weights of one segment lie on ${root} and ${this.#root}; they must be on one drive`);
    const place = `${path}@${byteOffset} ${shape.join()}`;
    const known = this.#stored.get(place);
    if (known !== undefined) return known;
    this.#stored.set(place, name);
    return this.graph.external(name, type, shape, { location: relative(root, path), byteOffset, byteLength });
  }

  vector(name: string, data: Float32Array): string {
    return this.floats(name, [data.length], data);
  }

  scalar(value: number): string {
    return this.floats(`${this.float}(${value})`, [], Float32Array.of(value));
  }

  /** A constant of any shape in the graph's float type. */
  floats(name: string, shape: readonly number[], data: Float32Array): string {
    return this.graph.constant(name, this.float, shape, this.float === "f16" ? toF16(data) : data);
  }

  integers(values: readonly number[]): string {
    return this.graph.constant(`i64(${values.join(",")})`, "i64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A norm weight or bias of the model. @throws InternalError when it was not read */
  vectorOf(tensor: string): Float32Array {
    const vector = this.weights.vectors.get(tensor);
    if (!vector) throw new InternalError(`vector ${tensor} was not read before lowering`);
    return vector;
  }

  /** [outFeatures] or undefined. */
  biasOf({ bias, rowOffset = 0, outFeatures }: LinearSpec): Float32Array | undefined {
    return bias === undefined ? undefined : this.vectorOf(bias).subarray(rowOffset, rowOffset + outFeatures);
  }
}
