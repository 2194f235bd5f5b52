/**
 * ArchitectureRegistry: from config.json's `model_type` to the function that turns the config into a ModelSpec.
 * In: a parsed config. Out: a checked spec. Called by the model folder reader; users add architectures here.
 * Never runs code that a model folder brings along: `auto_map` is refused.
 */
import type { ModelSpec } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import type { Architecture } from "./architecture.js";
import { ConfigReader } from "./config-reader.js";
import { llamaArchitecture, qwen2Architecture } from "./llama.js";

export class ArchitectureRegistry {
  readonly #byType = new Map<string, Architecture>();

  constructor(architectures: Iterable<Architecture>) {
    for (const architecture of architectures) this.register(architecture);
  }

  /** Adds an architecture; a later one of the same `modelType` replaces the earlier. */
  register(architecture: Architecture): void {
    this.#byType.set(architecture.modelType, architecture);
  }

  /**
   * The architecture that `config` names.
   * @throws ModelLoadError for an unknown `model_type`, remote code, or weights stored in a quantized form
   */
  find(config: ConfigReader): Architecture {
    const modelType = config.string("model_type");
    const architecture = this.#byType.get(modelType);
    if (!architecture) {
      const supported = [...this.#byType.keys()].join(", ");
      config.fail("model_type", `one of ${supported}; others are added with registerArchitecture()`);
    }
    if (config.has("auto_map")) {
      config.fail("auto_map", "absent: code from a model folder is never run; remove the field if the model is a plain " + modelType);
    }
    if (config.has("quantization_config")) {
      config.fail("quantization_config", "absent: quantized checkpoints are not read yet; use the unquantized model");
    }
    return architecture;
  }
}

/** What `openModel` uses unless it is given another registry. */
export const architectures: ArchitectureRegistry = new ArchitectureRegistry([llamaArchitecture, qwen2Architecture]);

/**
 * Makes `openModel` understand a further `model_type`, for the whole process.
 * @example
 * registerArchitecture({ modelType: "tiny", createSpec: (config) => tinySpec(config.int("hidden_size", { min: 1 })) });
 */
export function registerArchitecture(architecture: Architecture): void {
  architectures.register(architecture);
}

/**
 * The ModelSpec of a parsed config.json.
 * @throws ModelLoadError naming the field
 */
export function createModelSpec(config: unknown, registry: ArchitectureRegistry = architectures): ModelSpec {
  const reader = new ConfigReader(config, "config.json");
  const spec = registry.find(reader).createSpec(reader);
  if (spec.layers.length === 0) throw new ModelLoadError("config.json: the architecture gave a spec without layers");
  return spec;
}
