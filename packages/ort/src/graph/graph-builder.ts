/**
 * GraphBuilder: an ONNX model, node by node. Names in, serialized ModelProto out.
 * Knows ONNX's format and nothing of models; used by the lowering and by tests and probes.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { InternalError } from "@weir/core";
import { AttributeProtoSchema, ModelProtoSchema, NodeProtoSchema, TensorProtoSchema, ValueInfoProtoSchema } from "./onnx_pb.js";
import type { AttributeProto, NodeProto, TensorProto, ValueInfoProto } from "./onnx_pb.js";
import { elementTypes } from "./element-type.js";
import type { ElementName } from "./element-type.js";

/** A fixed size, or the name of one that varies from run to run. */
export type Dim = number | string;

/** Integers become INT, other numbers FLOAT: write `float(1)` for a whole-numbered float. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/** Marks a whole number as a float attribute. */
export const float = (value: number): Attribute => ({ float: value });

export interface ExternalData {
  /** Path relative to the session's `externalDataFolder`. */
  readonly location: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** "" (ONNX, the default) or "com.microsoft". */
  readonly domain?: "" | "com.microsoft";
  /** Names of the outputs; "" leaves one out. Default: one generated name. */
  readonly outputs?: readonly string[];
  /** Shown in profiles. Default: the generated first output. */
  readonly name?: string;
}

const IR_VERSION = 10n;
const ONNX_OPSET = 21n;

export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  /** Value -> name of the graph output that it is. */
  readonly #renamed = new Map<string, string>();

  constructor(name: string) {
    this.#name = name;
  }

  /** Declares a graph input. @returns its name */
  input(name: string, type: ElementName, shape: readonly Dim[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Declares a graph output. `value`, which a node makes, gets this name; default: it is called so already. */
  output(name: string, type: ElementName, shape: readonly Dim[], value: string = name): this {
    this.#outputs.push(valueInfo(name, type, shape));
    // A graph input or a value that is an output already cannot be renamed.
    if (this.#renamed.has(value) || this.#inputs.some((input) => input.name === value)) this.node("Identity", [value], { outputs: [name] });
    else if (value !== name) this.#renamed.set(value, name);
    return this;
  }

  /** A constant inside the model. A second one of the same name is taken to be the same. @returns its name */
  constant(name: string, type: ElementName, shape: readonly number[], data: ArrayBufferView): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return this.#initializer(name, { dims: shape.map(BigInt), dataType: elementTypes[type], name, rawData: bytes.slice() });
  }

  /** A constant in a file, which is read or mapped when a session is made. @returns its name */
  external(name: string, type: ElementName, shape: readonly number[], data: ExternalData): string {
    const entries = { location: data.location, offset: String(data.byteOffset), length: String(data.byteLength) };
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    return this.#initializer(name, { dims: shape.map(BigInt), dataType: elementTypes[type], name, externalData, dataLocation: 1 });
  }

  /** Adds a node with one output. An input of "" is left out. @returns the output's name */
  node(opType: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.nodes(opType, inputs, options)[0]!;
  }

  /** Adds a node. @returns its outputs' names */
  nodes(opType: string, inputs: readonly string[], options: NodeOptions = {}): readonly string[] {
    const outputs = options.outputs ?? [`${opType}_${this.#nodes.length}`];
    const attribute = Object.entries(options.attributes ?? {}).map(([name, value]) => attributeProto(name, value));
    const name = options.name ?? outputs[0] ?? opType;
    this.#nodes.push(
      create(NodeProtoSchema, { opType, input: [...inputs], output: [...outputs], name, attribute, domain: options.domain ?? "" }),
    );
    return outputs;
  }

  build(): Uint8Array {
    const rename = (name: string): string => this.#renamed.get(name) ?? name;
    for (const node of this.#nodes) {
      node.input = node.input.map(rename);
      node.output = node.output.map(rename);
    }
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "weir",
      opsetImport: [
        { domain: "", version: ONNX_OPSET },
        { domain: "com.microsoft", version: 1n },
      ],
      graph: {
        name: this.#name,
        node: this.#nodes,
        initializer: [...this.#initializers.values()],
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }

  #initializer(name: string, init: Parameters<typeof create<typeof TensorProtoSchema>>[1]): string {
    if (!this.#initializers.has(name)) this.#initializers.set(name, create(TensorProtoSchema, init));
    return name;
  }
}

function valueInfo(name: string, type: ElementName, shape: readonly Dim[]): ValueInfoProto {
  const dim = shape.map((size) => ({
    value: typeof size === "number" ? { case: "dimValue" as const, value: BigInt(size) } : { case: "dimParam" as const, value: size },
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: elementTypes[type], shape: { dim } } } },
  });
}

function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === "string") return create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) });
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) })
      : create(AttributeProtoSchema, { name, type: 1, f: value });
  }
  if ("float" in value) return create(AttributeProtoSchema, { name, type: 1, f: value.float });
  if (!value.every(Number.isInteger)) throw new InternalError(`attribute ${name} has fractions; only integer lists are written`);
  return create(AttributeProtoSchema, { name, type: 7, ints: value.map(BigInt) });
}
