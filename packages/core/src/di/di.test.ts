import { afterEach, describe, expect, it } from "vitest";
// Before tsyringe, which refuses to load without the metadata that our entry loads.
import { BACKEND, BLOCK_MANAGER, CLOCK, createEngine, MODEL_LIMITS, SAMPLER, SCHEDULER, SCHEDULER_CONFIG } from "./index.js";
import { container, inject, injectable, type DependencyContainer } from "tsyringe";
import type { Scheduler, SchedulerConfig } from "../contracts/index.js";
import { collect, scriptedSampler, soloTokens, testModel, tokenIds } from "../engine/test-engine.js";
import { PagedBlockManager } from "../kv/index.js";
import { FcfsScheduler } from "../scheduler/index.js";
import { nullBackend } from "../testing/null-backend.js";

const model = testModel();
const options = { model, maxModelLen: 128, numBlocks: 32 };

/** What `@injectable()` and `@inject(TOKEN)` come down to, without a compiler that knows parameter decorators. */
function injectableWith<T extends new (...args: never[]) => object>(Class: T, ...tokens: readonly symbol[]): T {
  tokens.forEach((token, index) => (inject(token) as ParameterDecorator)(Class, undefined, index));
  injectable()(Class as unknown as new (...args: unknown[]) => object);
  return Class;
}

/** A user's scheduler; the engine's block manager and limits come by injection. */
class RecordingScheduler extends FcfsScheduler {
  static made: RecordingScheduler[] = [];
  readonly blockManager: PagedBlockManager;

  constructor(blockManager: PagedBlockManager, config: SchedulerConfig) {
    super(blockManager, config);
    this.blockManager = blockManager;
    RecordingScheduler.made.push(this);
  }
}
injectableWith(RecordingScheduler, BLOCK_MANAGER, SCHEDULER_CONFIG);

class RecordingBlockManager extends PagedBlockManager {
  static made: RecordingBlockManager[] = [];

  constructor(limits: { numBlocks: number; blockSize: number }) {
    super(limits);
    RecordingBlockManager.made.push(this);
  }
}
injectableWith(RecordingBlockManager, MODEL_LIMITS);

const fresh = (): DependencyContainer => container.createChildContainer();

afterEach(() => {
  RecordingScheduler.made.length = 0;
  RecordingBlockManager.made.length = 0;
});

describe("createEngine with a container", () => {
  it("runs with our defaults when the container has nothing", async () => {
    const engine = await createEngine({ ...options, backend: nullBackend(), container: fresh() });
    expect(tokenIds(await collect(engine.generate([1, 2], { maxTokens: 5 })))).toEqual(soloTokens([1, 2], 5));
    await engine.dispose();
  });

  it("gives a user's injectable class this engine's block manager, one of each per engine", async () => {
    const users = fresh();
    users.register<Scheduler>(SCHEDULER, { useClass: RecordingScheduler });
    users.register(BLOCK_MANAGER, { useClass: RecordingBlockManager });
    users.register(BACKEND, { useValue: nullBackend() });
    const first = await createEngine({ ...options, container: users });
    const second = await createEngine({ ...options, numBlocks: 16, container: users });
    expect(RecordingScheduler.made).toHaveLength(2);
    expect(RecordingBlockManager.made).toHaveLength(2);
    expect(RecordingScheduler.made[0]!.blockManager).toBe(RecordingBlockManager.made[0]);
    expect(RecordingScheduler.made[1]!.blockManager).toBe(RecordingBlockManager.made[1]);
    expect([first, second].map((engine) => engine.stats().blocks.numBlocks)).toEqual([32, 16]);
    const run = collect(first.generate([3], { maxTokens: 20 }));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(RecordingBlockManager.made[0]!.stats().numFreeBlocks).toBeLessThan(32);
    expect(tokenIds(await run)).toEqual(soloTokens([3], 20));
    await Promise.all([first.dispose(), second.dispose()]);
  });

  it("gives it our own block manager when the user has none", async () => {
    const users = fresh();
    users.register<Scheduler>(SCHEDULER, { useClass: RecordingScheduler });
    const engine = await createEngine({ ...options, backend: nullBackend(), container: users });
    const { blockManager } = RecordingScheduler.made[0]!;
    expect(blockManager).toBeInstanceOf(PagedBlockManager);
    const iterator = engine.generate([3], { maxTokens: 50, bufferLimit: 1 })[Symbol.asyncIterator]();
    for (let i = 0; i < 4; i++) await iterator.next();
    expect(blockManager.stats()).toEqual(engine.stats().blocks);
    expect(blockManager.stats().numFreeBlocks).toBeLessThan(32);
    await engine.dispose();
  });

  it("lets an option win over a registration, and a registration over a default", async () => {
    const users = fresh();
    users.registerInstance(SAMPLER, scriptedSampler([7]));
    users.register<Scheduler>(SCHEDULER, { useClass: RecordingScheduler });
    const engine = await createEngine({
      ...options,
      backend: nullBackend(),
      container: users,
      scheduler: (services) => new FcfsScheduler(services.blockManager, services.schedulerConfig),
    });
    expect(RecordingScheduler.made).toHaveLength(0);
    expect(tokenIds(await collect(engine.generate([1], { maxTokens: 2 })))).toEqual([7, 7]);
    await engine.dispose();
  });

  it("leaves the user's container as it was", async () => {
    const users = fresh();
    const engine = await createEngine({ ...options, backend: nullBackend(), container: users });
    for (const token of [BACKEND, BLOCK_MANAGER, SCHEDULER, MODEL_LIMITS, CLOCK]) expect(users.isRegistered(token, true)).toBe(false);
    await engine.dispose();
  });

  it("refuses what is no container, and a missing backend", async () => {
    await expect(createEngine({ ...options, backend: nullBackend(), container: {} as DependencyContainer })).rejects.toThrow(
      /not a tsyringe container/,
    );
    await expect(createEngine({ ...options, container: fresh() })).rejects.toThrow(
      /no backend: pass one as an option, or register one under BACKEND/,
    );
  });
});
