/**
 * What preparing weights asks of a quantizer: the contract's Quantizer, or one whose answers take their time
 * because they come from another thread.
 */
import type { ActivationStats, DenseLinear, QuantizedLinear, Quantizer } from "@weir/core";

export interface LinearQuantizer extends Pick<Quantizer, "scheme" | "algorithm" | "version"> {
  quantize(linear: DenseLinear, stats?: ActivationStats): QuantizedLinear | Promise<QuantizedLinear>;
  dequantize(linear: QuantizedLinear): Float32Array | Promise<Float32Array>;
}
