/**
 * Engines over the CPU backend for tests: the demo model unless told otherwise, weights that must be made kept in a
 * folder of the test file's own, and a check at the end that nothing was kept.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, type EngineOptions, type GenerateOptions, type LLMEngine, type TokenEvent } from "@weir/core";
import { afterAll } from "vitest";
import { cpuBackend, type CpuBackendOptions } from "../cpu-backend.js";
import { DEMO_MODEL } from "./test-models.js";

export type CpuEngineOptions = Partial<EngineOptions> & { readonly cpu?: CpuBackendOptions };

/** Removed after the test file that imports this. */
export const TEST_CACHE: string = mkdtempSync(join(tmpdir(), "weir-cpu-test-"));
afterAll(() => rmSync(TEST_CACHE, { recursive: true, force: true }));

/** Two threads, whatever the machine has. */
export function cpuEngine({ cpu, ...options }: CpuEngineOptions = {}): Promise<LLMEngine> {
  return createEngine({
    model: DEMO_MODEL,
    backend: () => cpuBackend({ threads: 2, cacheDir: TEST_CACHE, ...cpu }),
    onError: () => {},
    ...options,
  });
}

/** Makes an engine, hands it to `use`, checks that nothing is left, disposes it. */
export async function withEngine<T>(options: CpuEngineOptions, use: (engine: LLMEngine) => Promise<T>): Promise<T> {
  const engine = await cpuEngine(options);
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

export type TokenOf<E = TokenEvent> = E extends { readonly type: "token" } ? E : never;

/** Token events of one greedy request. */
export async function tokenEvents(engine: LLMEngine, prompt: readonly number[], options: GenerateOptions): Promise<TokenOf[]> {
  const events: TokenOf[] = [];
  for await (const event of engine.generate([...prompt], { ignoreEos: true, ...options })) if (event.type === "token") events.push(event);
  return events;
}

export async function greedyIds(engine: LLMEngine, prompt: readonly number[], maxTokens: number): Promise<number[]> {
  return (await tokenEvents(engine, prompt, { maxTokens })).map(({ id }) => id);
}
