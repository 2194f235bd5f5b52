/** What every quantizer checks of the layer it is given. */
import { ModelLoadError, type DenseLinear } from "@weir/core";

/** @throws ModelLoadError naming the layer when the weight is not [outFeatures, inFeatures] */
export function checkShape({ name, outFeatures, inFeatures, weight }: DenseLinear): void {
  const whole = Number.isInteger(outFeatures) && Number.isInteger(inFeatures) && outFeatures > 0 && inFeatures > 0;
  if (whole && weight.length === outFeatures * inFeatures) return;
  throw new ModelLoadError(`${name}: the weight has ${weight.length} elements, which is not ${outFeatures} x ${inFeatures}`);
}

/** The error for a weight that is NaN or infinite: no integer stands for it, so the layer cannot be quantized. */
export function nonFinite({ name, inFeatures, weight }: DenseLinear, index: number): ModelLoadError {
  const place = `[${Math.floor(index / inFeatures)}, ${index % inFeatures}]`;
  return new ModelLoadError(`${name}: the weight at ${place} is ${weight[index]}; only finite weights can be quantized`);
}
