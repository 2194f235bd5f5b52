/** What tests of a backend do with a whole engine: take token ids from it, and see at the end that it kept nothing. */
import type { GenerateOptions, TokenEvent } from "../contracts/index.js";
import type { LLMEngine } from "../engine/llm-engine.js";
import type { TokenStream } from "../stream/index.js";

export type TokenOf<E = TokenEvent> = E extends { readonly type: "token" } ? E : never;

/** Hands the engine to `use`, checks that nothing is left, disposes it. */
export async function withEngine<T>(making: Promise<LLMEngine>, use: (engine: LLMEngine) => Promise<T>): Promise<T> {
  const engine = await making;
  try {
    const result = await use(engine);
    await engine.drain();
    assertIdle(engine);
    return result;
  } finally {
    await engine.dispose();
  }
}

/** @throws Error when an engine without requests still holds blocks or sequences */
export function assertIdle(engine: LLMEngine): void {
  const { blocks, requests, scheduler } = engine.stats();
  const left = requests.live + scheduler.numRunning + scheduler.numWaiting;
  if (left > 0 || blocks.numFreeBlocks !== blocks.numBlocks) {
    throw new Error(`an idle engine kept something: ${JSON.stringify({ blocks, requests, scheduler })}`);
  }
}

/** Token events of one request; end tokens are ignored unless the options say otherwise. */
export async function tokenEvents(engine: LLMEngine, prompt: readonly number[], options: GenerateOptions): Promise<TokenOf[]> {
  const events: TokenOf[] = [];
  for await (const event of engine.generate([...prompt], { ignoreEos: true, ...options })) if (event.type === "token") events.push(event);
  return events;
}

export function greedyIds(engine: LLMEngine, prompt: readonly number[], maxTokens: number): Promise<number[]> {
  return tokenIdsOf(engine.generate([...prompt], { maxTokens, ignoreEos: true }));
}

export async function tokenIdsOf(stream: TokenStream): Promise<number[]> {
  const ids: number[] = [];
  for await (const event of stream) if (event.type === "token") ids.push(event.id);
  return ids;
}
