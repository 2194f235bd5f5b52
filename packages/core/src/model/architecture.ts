/** Architecture: how one `model_type` becomes a ModelSpec. One small file per architecture implements it. */
import type { ModelSpec } from "../contracts/index.js";
import type { ConfigReader } from "./config-reader.js";

export interface Architecture {
  /** config.json's `model_type`. */
  readonly modelType: string;
  /** @throws ModelLoadError naming the field that is wrong or not supported */
  createSpec(config: ConfigReader): ModelSpec;
  /** Tensors that checkpoints of this kind may hold and that the spec does not need. Default: none. */
  readonly ignoredTensors?: RegExp;
}
