/**
 * nullBackend: a Backend that runs nothing. The next token is a hash of the sequence's history, read back from fake
 * KV slots through the block tables, so that engine, scheduler and block manager can be tested to the token without
 * a model; steps may take simulated time. `nullNextToken` is the oracle to compare with.
 *
 * Sampling parameters (temperature, penalties, bias, seed) are ignored by rows that the runner samples; logprobs
 * are those of made-up logits whose argmax is the token. ROW_LOGITS rows get these logits, so a sampler or logits
 * processor on the caller's thread works as with a real backend.
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
import { AbortedError, DisposedError, InvalidOptionsError } from "../errors/index.js";
import { type NullClock, NullRunner } from "./null-backend-runner.js";

export interface NullBackendOptions {
  /** Milliseconds that a step takes. Default 0: it ends in a microtask. */
  readonly stepMs?: number;
  /** Milliseconds per new token, on top. Default 0. */
  readonly perTokenMs?: number;
  /** Sampled ids lie below this. Default, and at most: the spec's vocabSize. */
  readonly vocabSize?: number;
  /** Which execute() calls of a runner, from 0, end in EngineRestartedError and lose the KV cache. Default: none. */
  readonly failAt?: number | readonly number[];
  /** A row whose newest token is this one gets ROW_NONFINITE. Default: none. */
  readonly nonfiniteAfter?: number;
  /** Default: the platform's. */
  readonly clock?: NullClock;
}

const CAPABILITIES: BackendCapabilities = {
  blockSizes: [16, 1, 2, 4, 8, 32, 64, 128],
  weightSchemes: ["f32"],
  kvDtypes: ["f32"],
  deterministic: true,
};

const PLATFORM_CLOCK: NullClock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
};

/** A backend for tests; 8 bytes of memory per KV slot. */
export function nullBackend(options: NullBackendOptions = {}): Backend {
  return new NullBackend(options);
}

class NullBackend implements Backend {
  readonly name = "null";
  readonly apiVersion: number = BACKEND_API_VERSION;
  readonly capabilities: BackendCapabilities = CAPABILITIES;
  readonly #options: NullBackendOptions;
  readonly #runners = new Set<NullRunner>();
  #disposed = false;

  constructor(options: NullBackendOptions) {
    this.#options = options;
  }

  async loadModel(spec: ModelSpec, _weights: WeightSource, options: LoadModelOptions): Promise<ModelRunner> {
    if (this.#disposed) throw new DisposedError("null backend: disposed");
    if (options.signal?.aborted) throw new AbortedError("loading was aborted", { cause: options.signal.reason });
    const { stepMs = 0, perTokenMs = 0, failAt = [], nonfiniteAfter, clock = PLATFORM_CLOCK } = this.#options;
    const vocabSize = this.#options.vocabSize ?? spec.vocabSize;
    if (!(vocabSize >= 1 && vocabSize <= spec.vocabSize)) {
      throw new InvalidOptionsError(`null backend: vocabSize is ${vocabSize}; the model's is ${spec.vocabSize}`);
    }
    options.onProgress?.({ stage: "ready", bytesDone: 0, bytesTotal: 0 });
    const runner = new NullRunner(spec, options.limits, {
      stepMs,
      perTokenMs,
      vocabSize,
      failAt: new Set(typeof failAt === "number" ? [failAt] : failAt),
      nonfiniteAfter,
      clock,
      onDispose: (disposed) => this.#runners.delete(disposed),
    });
    this.#runners.add(runner);
    return runner;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const runner of this.#runners) await runner.dispose();
  }
}
