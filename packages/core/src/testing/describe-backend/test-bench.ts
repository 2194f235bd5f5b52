/**
 * TestBench: one backend with one loaded model, and the comparisons that the conformance tests share.
 * Made once per fixture; tests use fresh StepDrivers over its runner. Throws plain Errors: no test framework here.
 */
import {
  type Backend,
  type KvDtype,
  type LoadedModel,
  type ModelOutput,
  type ModelRunner,
  ROW_LOGITS,
  ROW_OK,
  ROW_SAMPLE,
  type WeightScheme,
} from "../../contracts/index.js";
import { createEngine } from "../../engine/create-engine.js";
import type { EngineOptions } from "../../engine/engine-options.js";
import type { LLMEngine } from "../../engine/llm-engine.js";
import type { BackendFixture, DescribeBackendOptions, ExpectedCase } from "./fixture.js";
import { type DrivenSequence, StepDriver } from "./step-driver.js";

export interface BackendTest {
  /** A sentence; `skip` refers to it. */
  readonly name: string;
  /** Why a fixture cannot show this; undefined when it can. */
  readonly needs?: (fixture: BackendFixture) => string | undefined;
  readonly run: (bench: TestBench) => Promise<void>;
}

/** Tokens that tests generate, but for the one against the reference, which compares all there are. */
export const NUM_NEW_TOKENS = 12;
/** Rows of logits beside the sampled id. */
export const WANT_LOGITS: number = ROW_SAMPLE | ROW_LOGITS;

export class TestBench {
  readonly cases: readonly ExpectedCase[];
  readonly #options: DescribeBackendOptions;
  readonly #fixture: BackendFixture;
  #backend: Backend | undefined;
  #model: LoadedModel | undefined;
  #runner: ModelRunner | undefined;
  #alone: Promise<readonly (readonly number[])[]> | undefined;

  constructor(options: DescribeBackendOptions, fixture: BackendFixture) {
    this.#options = options;
    this.#fixture = fixture;
    this.cases = fixture.cases;
  }

  async open(): Promise<void> {
    this.#backend = this.#options.createBackend();
    this.#model = await this.#fixture.open();
    this.#runner = await this.loadRunner();
  }

  async close(): Promise<void> {
    await this.#backend?.dispose();
    await this.#model?.weights.close();
  }

  get runner(): ModelRunner {
    return this.#runner!;
  }

  /** Another runner of the same model. */
  loadRunner(): Promise<ModelRunner> {
    const { capabilities } = this.#backend!;
    const { spec, weights } = this.#model!;
    const blockSize = capabilities.blockSizes[0]!;
    const longest = Math.max(
      ...this.cases.map(({ prompt_ids, greedy_ids = [] }) => prompt_ids.length + Math.max(2 * NUM_NEW_TOKENS, greedy_ids.length)),
    );
    const maxModelLen = Math.min(spec.maxPositions, Math.ceil(longest / blockSize) * blockSize);
    const perSequence = Math.ceil(maxModelLen / blockSize);
    const maxNumSeqs = this.cases.length + 4;
    return this.#backend!.loadModel(spec, weights, {
      weightScheme: this.#weightScheme,
      kvDtype: this.#kvDtype,
      ...this.#options.load,
      limits: { maxModelLen, maxNumSeqs, maxNumBatchedTokens: maxModelLen * 2, blockSize, numBlocks: perSequence * (maxNumSeqs + 2) },
    });
  }

  /** KV blocks of the longest case and what it generates. */
  async blocksOfLongest(): Promise<number> {
    const alone = await this.allAlone();
    const longest = Math.max(...this.cases.map(({ prompt_ids }, i) => prompt_ids.length + alone[i]!.length));
    return Math.ceil(longest / this.runner.limits.blockSize);
  }

  /** A whole engine over this backend and model; disposing it is the caller's. */
  makeEngine(options: Partial<EngineOptions>): Promise<LLMEngine> {
    const { limits } = this.runner;
    const { weightScheme: quantize = this.#weightScheme, kvDtype = this.#kvDtype, ...load } = this.#options.load ?? {};
    return createEngine({
      model: this.#model!,
      backend: this.#backend!,
      quantize,
      kvDtype,
      maxModelLen: limits.maxModelLen,
      maxNumSeqs: limits.maxNumSeqs,
      maxNumBatchedTokens: limits.maxNumBatchedTokens,
      blockSize: limits.blockSize,
      ...load,
      ...options,
    });
  }

  get #weightScheme(): WeightScheme {
    const { weightSchemes } = this.#backend!.capabilities;
    return weightSchemes.includes("f32") ? "f32" : weightSchemes[0]!;
  }

  get #kvDtype(): KvDtype {
    return this.#backend!.capabilities.kvDtypes[0]!;
  }

  driver(seed = 1): StepDriver {
    const { sampling = true, sharedInput = false } = this.#backend!.capabilities;
    return new StepDriver(this.runner, { seed, sampling, sharedInput });
  }

  /** Each case's first NUM_NEW_TOKENS greedy tokens when it runs alone. */
  async alone(): Promise<readonly (readonly number[])[]> {
    return (await this.allAlone()).map((tokens) => tokens.slice(0, NUM_NEW_TOKENS));
  }

  /** As many as the fixture has; made once. */
  allAlone(): Promise<readonly (readonly number[])[]> {
    this.#alone ??= (async () => {
      const all: number[][] = [];
      for (const { prompt_ids, greedy_ids = [] } of this.cases) {
        const driver = this.driver();
        const sequence = driver.add(prompt_ids);
        await driver.decode([sequence], Math.max(NUM_NEW_TOKENS, greedy_ids.length));
        all.push(newTokens(sequence));
      }
      return all;
    })();
    return this.#alone;
  }

  /** @returns a copy of the row's logits */
  logitsOf(output: ModelOutput, row: number): Float32Array {
    const { vocabSize } = this.#model!.spec;
    assert(output.status[row] === ROW_OK, `row ${row} has status ${output.status[row]}`);
    const at = output.logitsRow[row]!;
    assert(at >= 0, `row ${row} asked for logits and has none`);
    return output.logits.slice(at * vocabSize, (at + 1) * vocabSize);
  }

  /** Against the reference. */
  expectLogits(actual: Float32Array, expected: ArrayLike<number>, what: string): void {
    compareLogits(actual, expected, this.#options.tolerances?.logits ?? 3e-4, what);
  }

  /** Against another run of this backend: the same bits where it promises them. */
  expectSameLogits(actual: Float32Array, expected: ArrayLike<number>, what: string): void {
    const { logits = 3e-4, repeat = logits } = this.#options.tolerances ?? {};
    compareLogits(actual, expected, this.#backend!.capabilities.deterministic ? 0 : repeat, what);
  }
}

/** What a sequence has generated. */
export function newTokens(sequence: DrivenSequence): number[] {
  return sequence.ids.slice(sequence.numPromptTokens);
}

export function assert(good: boolean, message: string): asserts good {
  if (!good) throw new Error(message);
}

export function expectTokens(actual: readonly number[], expected: readonly number[], what: string): void {
  const at = actual.findIndex((id, i) => id !== expected[i]);
  assert(actual.length === expected.length && at < 0, `${what}: tokens [${actual.join(", ")}] differ from [${expected.join(", ")}]`);
}

function compareLogits(actual: Float32Array, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert(actual.length === expected.length, `${what}: ${actual.length} logits, expected ${expected.length}`);
  const largest = Array.from(expected).reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    // Written so that a NaN fails.
    const good = difference <= tolerance * largest;
    assert(good, `${what}: logit ${i} is ${actual[i]}, expected ${expected[i]} within ${tolerance * largest}`);
  }
}
