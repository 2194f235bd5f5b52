/** Scheme `f32`: the weight as it is. For models that are run unquantized, and as the simplest Quantizer there is. */
import type { DenseLinear, QuantizedLinear, Quantizer } from "@weir/core";
import { checkShape } from "./check-linear.js";
import { dequantizeLinear } from "./dequantize-linear.js";
import { quantizerModule } from "./module-locator.js";

/** Copies the weight. NaN and infinities pass: they show up as `nonfinite_logits` of the requests that meet them. */
export class Float32Quantizer implements Quantizer {
  readonly scheme = "f32";
  readonly algorithm = "copy";
  readonly version = 1;
  readonly module?: NonNullable<Quantizer["module"]>;

  constructor() {
    if (new.target === Float32Quantizer) this.module = quantizerModule({ scheme: "f32" });
  }

  /** @throws ModelLoadError when the weight does not have the shape it claims */
  quantize(linear: DenseLinear): QuantizedLinear {
    checkShape(linear);
    const { outFeatures, inFeatures, weight } = linear;
    return { kind: "dense", outFeatures, inFeatures, data: weight.slice() };
  }

  dequantize(linear: QuantizedLinear): Float32Array {
    return dequantizeLinear(linear);
  }
}
