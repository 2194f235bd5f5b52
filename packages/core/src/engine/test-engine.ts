/** For tests of the engine: engines over the null backend, a tokenizer made of letters, scripted samplers, oracles. */
import type { Backend, Detokenizer, LoadedModel, Sampler, TokenEvent, Tokenizer } from "../contracts/index.js";
import { nullBackend, type NullBackendOptions } from "../testing/null-backend.js";
import { nullNextToken } from "../testing/null-backend-kv.js";
import { nullModelSpec, nullWeights, type NullModelOptions } from "../testing/null-backend-model.js";
import { createEngine } from "./create-engine.js";
import type { EngineOptions } from "./engine-options.js";
import type { LLMEngine } from "./llm-engine.js";

export type TestEngineOptions = Partial<EngineOptions> & { readonly spec?: NullModelOptions };

/** Small, quick, over the null backend; whatever nobody handles fails the test by `onError`. */
export function testEngine({ spec, ...options }: TestEngineOptions = {}): Promise<LLMEngine> {
  const backend: Backend = nullBackend();
  return createEngine({ model: testModel(spec), backend, blockSize: 4, numBlocks: 4096, maxModelLen: 1024, onError: ignore, ...options });
}

export function testModel(spec: NullModelOptions = {}): LoadedModel {
  return {
    name: "null",
    spec: nullModelSpec({ vocabSize: VOCABULARY.length, ...spec }),
    weights: nullWeights(),
    storedScheme: "f32",
    tokenizer: letterTokenizer(),
  };
}

/** Makes engines and, at the end of a test, says what was left behind. */
export class EngineRig {
  readonly #engines: LLMEngine[] = [];
  readonly #problems: unknown[] = [];
  readonly #onUncaught = (error: unknown): void => void this.#problems.push(error);

  async engine(options?: TestEngineOptions): Promise<LLMEngine> {
    const engine = await testEngine(options);
    this.#engines.push(engine);
    return engine;
  }

  /** From here on an uncaught exception or rejection is a problem. */
  watch(): void {
    process.on("uncaughtException", this.#onUncaught).on("unhandledRejection", this.#onUncaught);
  }

  /** @returns uncaught errors, and engines that kept blocks or requests after draining */
  async finish(): Promise<unknown[]> {
    for (const engine of this.#engines.splice(0)) {
      await engine.drain();
      const { blocks, requests, scheduler } = engine.stats();
      const numLeft = requests.live + scheduler.numRunning + scheduler.numWaiting;
      if (blocks.numFreeBlocks !== blocks.numBlocks || numLeft > 0) this.#problems.push({ blocks, requests, scheduler });
      await engine.dispose();
    }
    await turns(3);
    process.off("uncaughtException", this.#onUncaught).off("unhandledRejection", this.#onUncaught);
    return this.#problems.splice(0);
  }
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Each step takes some turns of the event loop, so that callers act while it runs. */
export function slowBackend(options: NullBackendOptions = {}): Backend {
  return nullBackend({ ...options, stepMs: 1, clock: { now: () => performance.now(), sleep: () => turns(2) } });
}

export const CANARY: readonly number[] = [11, 12, 13];

/** What the null backend continues `prompt` with, alone. */
export function soloTokens(prompt: readonly number[], count: number, vocabSize: number = VOCABULARY.length): number[] {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) ids.push(nullNextToken(ids, ids.length, vocabSize));
  return ids.slice(prompt.length);
}

export function tokenIds(events: readonly TokenEvent[]): number[] {
  return events.flatMap((event) => (event.type === "token" ? [event.id] : []));
}

export function joinedText(events: readonly TokenEvent[]): string {
  return events.map((event) => ("text" in event ? event.text : "")).join("");
}

export async function collect(events: AsyncIterable<TokenEvent>): Promise<TokenEvent[]> {
  const all: TokenEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Two letters each: "aa", "ab", ... */
export const VOCABULARY: readonly string[] = Array.from({ length: 26 * 26 }, (_, id) =>
  String.fromCharCode(97 + Math.floor(id / 26), 97 + (id % 26)),
);

/** Pairs of letters; an odd last letter is dropped. */
export function letterTokenizer(): Tokenizer {
  const decode = (ids: ArrayLike<number>): string => Array.from(ids, (id) => VOCABULARY[id]!).join("");
  return {
    vocabSize: VOCABULARY.length,
    encode: (text) => Int32Array.from(text.match(/../g) ?? [], (pair) => VOCABULARY.indexOf(pair)),
    decode,
    isSpecial: () => false,
    tokenToId: (token) => (VOCABULARY.includes(token) ? VOCABULARY.indexOf(token) : undefined),
    createDetokenizer: (): Detokenizer => ({ push: (id) => decode([id]), flush: () => "" }),
  };
}

/** Answers every request with the same tokens. */
export function scriptedSampler(ids: readonly number[]): Sampler {
  return {
    name: "scripted",
    sample: (_logits, params, row, out) => {
      out.tokenIds[row] = ids[params.counter[row]! % ids.length]!;
    },
  };
}

function ignore(): void {}
