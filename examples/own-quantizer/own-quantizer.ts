/** Your own quantizer: int8 that clips each channel at a percentile, so that one outlier does not set everyone's scale. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, type DenseLinear, type QuantizedLinear, type Quantizer } from "@weir/core";
import { dequantizeLinear } from "@weir/quant";

class PercentileQuantizer implements Quantizer {
  readonly scheme = "int8";
  // Scheme, algorithm and version name the cached weights: change one of them when the result changes.
  readonly algorithm: string;
  readonly version = 1;
  readonly #percentile: number;

  constructor(percentile = 99.9) {
    this.#percentile = percentile;
    this.algorithm = `clip-${percentile}`;
  }

  quantize({ outFeatures, inFeatures, weight }: DenseLinear): QuantizedLinear {
    const data = new Int8Array(weight.length); // [outFeatures, inFeatures]
    const scales = new Float32Array(outFeatures);
    for (let row = 0; row < outFeatures; row++) {
      const channel = weight.subarray(row * inFeatures, (row + 1) * inFeatures);
      const sorted = channel.map(Math.abs).sort();
      const scale = sorted[Math.floor((inFeatures - 1) * (this.#percentile / 100))]! / 127 || 1;
      scales[row] = scale;
      data.set(
        channel.map((w) => Math.max(-127, Math.min(127, Math.round(w / scale)))),
        row * inFeatures,
      );
    }
    return { kind: "int8-channel", outFeatures, inFeatures, data, scales };
  }

  dequantize(linear: QuantizedLinear): Float32Array {
    return dequantizeLinear(linear);
  }
}

const engine = await createEngine({
  model: "packages/cli/model/tiny-shakespeare",
  backend: cpuBackend(),
  quantize: "int8",
  quantizer: new PercentileQuantizer(),
});
console.log(await engine.generate("ROMEO:", { maxTokens: 40 }).text());
await engine.dispose();
