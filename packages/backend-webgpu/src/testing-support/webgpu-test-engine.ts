/** Engines over the WebGPU backend for tests; a check at the end that nothing was kept. */
import { createEngine, type EngineOptions, type GenerateOptions, type LLMEngine, type TokenEvent } from "@weir/core";
import { webgpuBackend, type WebgpuBackendOptions } from "../webgpu-backend.js";

export type TestEngineOptions = Partial<EngineOptions> & { readonly model: string; readonly webgpu: WebgpuBackendOptions };

export function webgpuEngine({ webgpu, ...options }: TestEngineOptions): Promise<LLMEngine> {
  return createEngine({ backend: () => webgpuBackend(webgpu), onError: () => {}, maxNumSeqs: 8, maxModelLen: 128, ...options });
}

export async function withEngine<T>(options: TestEngineOptions, use: (engine: LLMEngine) => Promise<T>): Promise<T> {
  const engine = await webgpuEngine(options);
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
