/** Round-to-nearest quantizers, as small as can be: what the tests of the lowering quantize with. */
import type { DenseLinear, QuantizedLinear, Quantizer, WeightScheme } from "@weir/core";

export function rtnQuantizer(scheme: WeightScheme, asymmetric = false): Quantizer {
  const groupSize = Number(/g(\d+)$/.exec(scheme)?.[1] ?? 0) as 32 | 64 | 128;
  return {
    scheme,
    algorithm: `test-rtn${asymmetric ? "-asymmetric" : ""}`,
    version: 1,
    quantize: (linear) => {
      if (scheme === "f32") return { kind: "dense", outFeatures: linear.outFeatures, inFeatures: linear.inFeatures, data: linear.weight };
      return scheme === "int8" ? toInt8(linear) : toInt4(linear, groupSize, asymmetric);
    },
    dequantize,
  };
}

function toInt8({ outFeatures, inFeatures, weight }: DenseLinear): QuantizedLinear {
  const data = new Int8Array(weight.length);
  const scales = new Float32Array(outFeatures);
  for (let row = 0; row < outFeatures; row++) {
    const values = weight.subarray(row * inFeatures, (row + 1) * inFeatures);
    scales[row] = Math.max(...values.map(Math.abs)) / 127;
    values.forEach((value, i) => (data[row * inFeatures + i] = Math.round(value / scales[row]!)));
  }
  return { kind: "int8-channel", outFeatures, inFeatures, data, scales };
}

function toInt4({ outFeatures, inFeatures, weight }: DenseLinear, groupSize: 32 | 64 | 128, asymmetric: boolean): QuantizedLinear {
  const groups = Math.ceil(inFeatures / groupSize);
  const data = new Uint8Array((outFeatures * groups * groupSize) / 2);
  const scales = new Float32Array(outFeatures * groups);
  const zeroPoints = new Uint8Array(outFeatures * Math.ceil(groups / 2));
  for (let row = 0; row < outFeatures; row++) {
    for (let group = 0; group < groups; group++) {
      const start = row * inFeatures + group * groupSize;
      const values = weight.subarray(start, Math.min(start + groupSize, (row + 1) * inFeatures));
      const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
      const scale = asymmetric ? (high - low) / 15 : Math.max(-low, high) / 7;
      const zero = asymmetric ? Math.round(-low / scale) : 8;
      scales[row * groups + group] = scale;
      zeroPoints[row * Math.ceil(groups / 2) + (group >> 1)]! |= zero << (4 * (group & 1));
      values.forEach((value, i) => {
        const nibble = Math.min(15, Math.max(0, Math.round(value / scale) + zero));
        data[((row * groups + group) * groupSize + i) >> 1]! |= nibble << (4 * (i & 1));
      });
    }
  }
  return { kind: "int4-group", outFeatures, inFeatures, groupSize, data, scales, ...(asymmetric ? { zeroPoints } : {}) };
}

function dequantize(linear: QuantizedLinear): Float32Array {
  if (linear.kind === "dense") return linear.data;
  const { outFeatures, inFeatures } = linear;
  return Float32Array.from({ length: outFeatures * inFeatures }, (_, at) => {
    const row = Math.floor(at / inFeatures);
    const column = at % inFeatures;
    if (linear.kind === "int8-channel") return linear.data[at]! * linear.scales[row]!;
    const groups = Math.ceil(inFeatures / linear.groupSize);
    const group = Math.floor(column / linear.groupSize);
    const place = (row * groups + group) * linear.groupSize + (column % linear.groupSize);
    const nibble = (linear.data[place >> 1]! >> (4 * (place & 1))) & 15;
    const packed = linear.zeroPoints?.[row * Math.ceil(groups / 2) + (group >> 1)];
    const zero = packed === undefined ? 8 : (packed >> (4 * (group & 1))) & 15;
    return (nibble - zero) * linear.scales[row * groups + group]!;
  });
}
