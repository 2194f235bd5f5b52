/**
 * Does a quantizer's answer have the sizes it must have? Kernels read by these sizes, so a short array would be
 * read beyond its end. In: what an injected quantizer returned. Out: nothing, or an error naming it.
 */
import { ModelLoadError } from "@weir/core";
import type { LinearSpec, QuantizedLinear } from "@weir/core";

/** @throws ModelLoadError */
export function checkQuantized(quantized: QuantizedLinear, part: LinearSpec, algorithm: string): void {
  const { outFeatures, inFeatures } = part;
  const fail = (what: string, seen: number | string, wanted: number | string): never => {
    throw new ModelLoadError(`quantizer ${algorithm} made ${part.weight} with ${what} ${seen}; it must be ${wanted}`);
  };
  const sizes = `[${quantized.outFeatures}, ${quantized.inFeatures}]`;
  if (quantized.outFeatures !== outFeatures || quantized.inFeatures !== inFeatures) fail("sizes", sizes, `[${outFeatures}, ${inFeatures}]`);
  for (const [what, length, wanted] of wantedLengths(quantized)) if (length !== wanted) fail(`length of ${what}`, length, wanted);
}

/** [array, its length, what it must be] */
function wantedLengths(linear: QuantizedLinear): [string, number, number][] {
  const { outFeatures, inFeatures, data } = linear;
  if (linear.kind === "dense") return [["data", data.length, outFeatures * inFeatures]];
  if (linear.kind === "int8-channel") {
    return [
      ["data", data.length, outFeatures * inFeatures],
      ["scales", linear.scales.length, outFeatures],
    ];
  }
  const groups = Math.ceil(inFeatures / linear.groupSize);
  const zeroBytes = outFeatures * Math.ceil(groups / 2);
  return [
    ["data", data.length, (outFeatures * groups * linear.groupSize) / 2],
    ["scales", linear.scales.length, outFeatures * groups],
    ["zeroPoints", linear.zeroPoints?.length ?? zeroBytes, zeroBytes],
  ];
}
