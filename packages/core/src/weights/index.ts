export { openRandomModel } from "./random-model.js";
export { RANDOM_PREFIX } from "./random-shapes.js";
export { readTensor, readTensorInto, widenBf16, widenF16 } from "./read-tensor.js";
export {
  type HeaderTensor,
  HEADER_LENGTH_BYTES,
  MAX_HEADER_BYTES,
  parseSafetensorsHeader,
  readHeaderLength,
  type SafetensorsHeader,
} from "./safetensors-header.js";
