/**
 * The f32 weight that a stored layer stands for. Depends on the stored form alone, not on who quantized it, so every
 * quantizer (a user's too) can use it for `dequantize`.
 */
import type { QuantizedLinear } from "@weir/core";

type Int8Channel = Extract<QuantizedLinear, { kind: "int8-channel" }>;
type Int4Group = Extract<QuantizedLinear, { kind: "int4-group" }>;

/** @returns [outFeatures, inFeatures] f32, row-major; a copy for dense layers */
export function dequantizeLinear(linear: QuantizedLinear): Float32Array {
  switch (linear.kind) {
    case "dense":
      return linear.data.slice();
    case "int8-channel":
      return dequantizeInt8(linear);
    case "int4-group":
      return dequantizeInt4(linear);
  }
}

function dequantizeInt8({ outFeatures, inFeatures, data, scales }: Int8Channel): Float32Array {
  const weight = new Float32Array(outFeatures * inFeatures);
  for (let row = 0; row < outFeatures; row++) {
    const scale = scales[row]!;
    const end = (row + 1) * inFeatures;
    for (let i = row * inFeatures; i < end; i++) weight[i] = data[i]! * scale;
  }
  return weight;
}

function dequantizeInt4({ outFeatures, inFeatures, groupSize, data, scales, zeroPoints }: Int4Group): Float32Array {
  const groups = Math.ceil(inFeatures / groupSize);
  const zeroBytes = Math.ceil(groups / 2);
  const weight = new Float32Array(outFeatures * inFeatures);
  for (let row = 0; row < outFeatures; row++) {
    for (let group = 0; group < groups; group++) {
      const scale = scales[row * groups + group]!;
      const zero = zeroPoints ? (zeroPoints[row * zeroBytes + (group >> 1)]! >> ((group & 1) * 4)) & 15 : 8;
      const start = row * inFeatures + group * groupSize;
      const count = Math.min(groupSize, inFeatures - group * groupSize);
      const bytes = (row * groups + group) * (groupSize / 2);
      for (let i = 0; i < count; i++) {
        const nibble = (data[bytes + (i >> 1)]! >> ((i & 1) * 4)) & 15;
        weight[start + i] = (nibble - zero) * scale;
      }
    }
  }
  return weight;
}
