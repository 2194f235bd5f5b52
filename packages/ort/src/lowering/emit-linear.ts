/**
 * Dense layers. In: an activation and a group of linears with that input. Out: one activation per matrix product.
 * Forms were measured against each other (bench/LOG.md): Gemm for f32, MatMulIntegerToFloat over activations
 * quantized per row for int8, MatMulNBits with int8 activations for int4.
 */
import { InternalError } from "@weir/core";
import type { LinearGroup } from "../weights/linear-groups.js";
import type { PreparedLinear } from "../weights/prepared-weights.js";
import type { GraphScope, QuantizedActivation } from "./graph-scope.js";

/** [rows, features] f32, still to be multiplied by a factor per row where `rowScale` is there. */
export interface Activation {
  readonly value: string;
  /** [rows, 1] f32 */
  readonly rowScale?: string;
}

const CONTRIB = "com.microsoft";

/**
 * @param guard keep NaN and infinities of the input; false where the residual carries them anyway
 * @returns one activation per prepared linear: one if the group was fused, else one per part
 */
export function emitGroup(scope: GraphScope, group: LinearGroup, input: Activation, guard = true): Activation[] {
  const linears = scope.weights.prepared.groups[group.key];
  if (!linears) throw new InternalError(`weights of ${group.key} were not prepared`);
  const biases = groupBiases(scope, group, linears);
  return linears.map((linear, i) => {
    const site = { key: linears.length === 1 ? group.key : `${group.key}.${i}`, bias: biases[i], guard };
    return emitLinear(scope, site, linear, input);
  });
}

/** The group's outputs side by side, [rows, sum of features] f32. */
export function emitJoinedGroup(scope: GraphScope, group: LinearGroup, input: Activation): string {
  const values = emitGroup(scope, group, input).map((output) => scaled(scope, output));
  return values.length === 1 ? values[0]! : scope.graph.node("Concat", values, { attributes: { axis: 1 } });
}

/** The activation with its row factor applied. */
export function scaled(scope: GraphScope, { value, rowScale }: Activation): string {
  return rowScale === undefined ? value : scope.graph.node("Mul", [value, rowScale]);
}

interface LinearSite {
  /** Names weights, nodes and profile entries. */
  readonly key: string;
  readonly bias: Float32Array | undefined;
  readonly guard: boolean;
}

function emitLinear(scope: GraphScope, site: LinearSite, linear: PreparedLinear, input: Activation): Activation {
  if (linear.kind === "int8") return emitInt8(scope, site, linear, input);
  const x = scaled(scope, input);
  return { value: linear.kind === "dense" ? emitDense(scope, site, linear, x) : emitInt4(scope, site, linear, x) };
}

function emitDense(scope: GraphScope, { key, bias }: LinearSite, linear: PreparedLinear, x: string): string {
  const inputs = [x, scope.stored(`${key}.weight`, linear.weight), ...(bias ? [scope.vector(`${key}.bias`, bias)] : [])];
  return scope.graph.node("Gemm", inputs, { attributes: { transB: 1 }, name: key });
}

/** y = (q W) * wScale * rowScale; integer sums are exact, so a row's result does not depend on the other rows. */
function emitInt8(scope: GraphScope, { key, bias }: LinearSite, linear: PreparedLinear & { kind: "int8" }, input: Activation): Activation {
  const { graph } = scope;
  const { value: q, rowScale } = quantizeRows(scope, input.value);
  const zero = graph.constant("u8(128)", "u8", [], Uint8Array.of(128));
  const inputs = [q, scope.stored(`${key}.weight`, linear.weight), scope.scalar(1), scope.stored(`${key}.scales`, linear.scales), zero];
  if (linear.weight.type === "u8") inputs.push(zero);
  const value = graph.node("MatMulIntegerToFloat", inputs, { domain: CONTRIB, name: key });
  const output = { value, rowScale: input.rowScale === undefined ? rowScale : graph.node("Mul", [rowScale, input.rowScale]) };
  return bias ? { value: graph.node("Add", [scaled(scope, output), scope.vector(`${key}.bias`, bias)]) } : output;
}

function emitInt4(scope: GraphScope, { key, bias, guard }: LinearSite, linear: PreparedLinear & { kind: "int4" }, x: string): string {
  const { outFeatures, inFeatures, groupSize, weight, scales, zeroPoints } = linear;
  const inputs = [
    x,
    scope.stored(`${key}.weight`, weight),
    scope.stored(`${key}.scales`, scales),
    zeroPoints ? scope.stored(`${key}.zeroPoints`, zeroPoints) : "",
    "",
    bias ? scope.vector(`${key}.bias`, bias) : "",
  ];
  while (inputs.at(-1) === "") inputs.pop();
  const attributes = { K: inFeatures, N: outFeatures, bits: 4, block_size: groupSize, accuracy_level: 4 };
  const value = scope.graph.node("MatMulNBits", inputs, { domain: CONTRIB, attributes, name: key });
  return guard ? scope.graph.node("Add", [value, rowGuard(scope, x)]) : value;
}

/**
 * q = trunc(x / s + 128.5) with s = max|x| / 127 per row. The floor under s keeps a row of zeros from dividing by
 * zero; adding 0 * sum(x) makes s NaN for a row with NaN or infinities, which a cast to u8 would hide.
 */
function quantizeRows(scope: GraphScope, x: string): QuantizedActivation {
  const known = scope.quantized.get(x);
  if (known) return known;
  const { graph } = scope;
  const attributes = { keepdims: 1 };
  const last = scope.integers([-1]);
  const high = graph.node("ReduceMax", [x, last], { attributes });
  const low = graph.node("Neg", [graph.node("ReduceMin", [x, last], { attributes })]);
  const largest = graph.node("Mul", [graph.node("Max", [high, low]), scope.scalar(1 / 127)]);
  const rowScale = graph.node("Add", [graph.node("Max", [largest, scope.scalar(1e-30)]), rowGuard(scope, x)]);
  const shifted = graph.node("Add", [graph.node("Div", [x, rowScale]), scope.scalar(128.5)]);
  const quantized = { value: graph.node("Cast", [shifted], { attributes: { to: 2 } }), rowScale };
  scope.quantized.set(x, quantized);
  return quantized;
}

/** [rows, 1]: 0, or NaN for a row that holds NaN or an infinity. ReduceMax and MatMulNBits drop NaN (ONNX Runtime 1.30). */
function rowGuard(scope: GraphScope, x: string): string {
  const sum = scope.graph.node("ReduceSum", [x, scope.integers([-1])], { attributes: { keepdims: 1 } });
  return scope.graph.node("Mul", [sum, scope.scalar(0)]);
}

/** Biases cut to the prepared linears, which may span several parts. */
function groupBiases(scope: GraphScope, group: LinearGroup, linears: readonly PreparedLinear[]): (Float32Array | undefined)[] {
  const parts = group.parts.map((part) => scope.biasOf(part));
  if (linears.length > 1) return parts;
  if (parts.every((bias) => bias === undefined)) return [undefined];
  const joined = new Float32Array(linears[0]!.outFeatures);
  let offset = 0;
  group.parts.forEach(({ outFeatures }, i) => {
    if (parts[i]) joined.set(parts[i], offset);
    offset += outFeatures;
  });
  return [joined];
}
