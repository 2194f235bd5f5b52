/** What the conformance suite needs to know of a model and of the backend under test. */
import type { LoadedModel, LoadModelOptions, Backend } from "../../contracts/index.js";

/** One case of a reference model's `expected.json`, in its own names. */
export interface ExpectedCase {
  readonly prompt_ids: readonly number[];
  /** Absent: what the backend itself gives alone is what it must give in company. */
  readonly greedy_ids?: readonly number[];
  /** [vocabSize] logits of the last prompt position. */
  readonly logits_last?: readonly number[];
}

export interface BackendFixture {
  readonly name: string;
  /** Called once; the suite closes the weights. */
  readonly open: () => Promise<LoadedModel>;
  /** At least two; short prompts keep the suite quick. */
  readonly cases: readonly ExpectedCase[];
}

export interface BackendTolerances {
  /** Largest difference of a logit, relative to the largest expected logit. Default 3e-4. */
  readonly logits?: number;
  /** Between two runs of the backend itself, where `capabilities.deterministic` is not set. Default: as logits. */
  readonly repeat?: number;
}

export interface DescribeBackendOptions {
  readonly name: string;
  readonly createBackend: () => Backend;
  readonly fixtures: readonly BackendFixture[];
  readonly tolerances?: BackendTolerances;
  /** Scheme, KV dtype, quantizer and the like. Default: f32 weights where the backend has them, its first KV dtype. */
  readonly load?: Partial<Omit<LoadModelOptions, "limits" | "signal" | "onProgress">>;
  /** Tests, by their names in the suite, that cannot hold here, and why. */
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}
