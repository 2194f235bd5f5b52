/** Public API of @weir/quant. */
export { createQuantizer, defaultQuantizer, type QuantizerOptions } from "./create-quantizer.js";
export { dequantizeLinear } from "./dequantize-linear.js";
export { Float32Quantizer } from "./float32-quantizer.js";
export { Int4GroupQuantizer, type Int4GroupQuantizerOptions, type Int4GroupSize } from "./int4-group-quantizer.js";
export { Int8Quantizer, type Int8QuantizerOptions } from "./int8-quantizer.js";
export { quantizationError, type QuantizationError } from "./quantization-error.js";
