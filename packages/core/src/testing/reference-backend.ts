/**
 * ReferenceBackend: the oracle. Plain f32 TypeScript over the paged cache, every feature of ModelSpec, no tricks.
 * Called by tests and by `--backend reference`; a few million parameters are as much as one wants to wait for.
 */
import {
  type Backend,
  BACKEND_API_VERSION,
  type BackendCapabilities,
  type LoadModelOptions,
  type ModelRunner,
  type ModelSpec,
  type WeightSource,
} from "../contracts/index.js";
import { DisposedError, InvalidOptionsError } from "../errors/index.js";
import { loadWeights } from "./reference/model-weights.js";
import { ReferenceRunner } from "./reference/reference-runner.js";

/** @example createEngine({ model: "./model", backend: referenceBackend() }) */
export function referenceBackend(): Backend {
  return new ReferenceBackend();
}

export class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly apiVersion: number = BACKEND_API_VERSION;
  readonly capabilities: BackendCapabilities = {
    blockSizes: [16, 1, 2, 4, 8, 32, 64, 128, 256],
    // Other schemes than f32 need the quantizer option: their linears are quantized and dequantized again.
    weightSchemes: ["f32", "int8", "int4-g32", "int4-g64", "int4-g128"],
    kvDtypes: ["f32"],
    deterministic: true,
  };
  readonly #runners = new Set<ModelRunner>();
  #disposed = false;

  async loadModel(spec: ModelSpec, weights: WeightSource, options: LoadModelOptions): Promise<ModelRunner> {
    if (this.#disposed) throw new DisposedError("the reference backend was disposed");
    this.#checkOptions(spec, options);
    const runner = new ReferenceRunner(spec, await loadWeights(spec, weights, options), options.limits);
    this.#runners.add(runner);
    return runner;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#runners].map((runner) => runner.dispose()));
    this.#runners.clear();
  }

  #checkOptions(spec: ModelSpec, { limits, kvDtype, weightScheme, quantizer, attentionKernel }: LoadModelOptions): void {
    if (!this.capabilities.blockSizes.includes(limits.blockSize)) {
      throw new InvalidOptionsError(
        `blockSize is ${limits.blockSize}; the reference backend takes ${this.capabilities.blockSizes.join(", ")}`,
      );
    }
    if (kvDtype !== "f32") throw new InvalidOptionsError(`kvDtype is ${kvDtype}; the reference backend has f32 only`);
    if (attentionKernel)
      throw new InvalidOptionsError(`attentionKernel ${attentionKernel.name} is given; the reference backend takes none`);
    if (weightScheme !== "f32" && quantizer?.scheme !== weightScheme) {
      throw new InvalidOptionsError(`weightScheme is ${weightScheme}; the reference backend needs the quantizer option for it`);
    }
    if (limits.maxModelLen > spec.maxPositions) {
      throw new InvalidOptionsError(`maxModelLen is ${limits.maxModelLen}; the model has ${spec.maxPositions} positions`);
    }
  }
}
