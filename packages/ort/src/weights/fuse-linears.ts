/**
 * Joins linears that share their input into one, row after row, so that one matrix product computes them.
 * In: quantized linears. Out: the same values in as few linears as their kinds allow.
 */
import type { QuantizedLinear } from "@weir/core";

/** @returns one linear when all are of one kind and form, else the given ones */
export function fuseLinears(linears: readonly QuantizedLinear[]): readonly QuantizedLinear[] {
  const [first, ...others] = linears;
  if (!first || others.length === 0 || !others.every((linear) => sameForm(first, linear))) return linears;
  const outFeatures = linears.reduce((sum, linear) => sum + linear.outFeatures, 0);
  const sizes = { outFeatures, inFeatures: first.inFeatures };
  if (first.kind === "dense") return [{ kind: "dense", ...sizes, data: joinFloats(linears.map((linear) => linear.data as Float32Array)) }];
  const scales = joinFloats(linears.map((linear) => (linear as { scales: Float32Array }).scales));
  if (first.kind === "int8-channel") {
    return [{ kind: "int8-channel", ...sizes, data: new Int8Array(joinBytes(linears.map((linear) => linear.data)).buffer), scales }];
  }
  const int4 = linears as (QuantizedLinear & { kind: "int4-group" })[];
  const zeroPoints = first.zeroPoints && joinBytes(int4.map((linear) => linear.zeroPoints!));
  const data = joinBytes(int4.map((linear) => linear.data));
  return [{ kind: "int4-group", ...sizes, groupSize: first.groupSize, data, scales, ...(zeroPoints ? { zeroPoints } : {}) }];
}

function sameForm(a: QuantizedLinear, b: QuantizedLinear): boolean {
  if (a.kind !== b.kind || a.inFeatures !== b.inFeatures) return false;
  if (a.kind !== "int4-group" || b.kind !== "int4-group") return true;
  return a.groupSize === b.groupSize && (a.zeroPoints === undefined) === (b.zeroPoints === undefined);
}

function joinFloats(arrays: readonly Float32Array[]): Float32Array {
  return new Float32Array(joinBytes(arrays).buffer);
}

function joinBytes(arrays: readonly ArrayBufferView[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(arrays.reduce((sum, array) => sum + array.byteLength, 0));
  let offset = 0;
  for (const array of arrays) {
    out.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset);
    offset += array.byteLength;
  }
  return out;
}
