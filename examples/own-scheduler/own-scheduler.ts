/** Your own scheduler: shortest prompt first. Newcomers wait here, sorted; the rest is FcfsScheduler's business. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, FcfsScheduler, OutOfBlocksError } from "@weir/core";
import type { BlockManager, Scheduler, SchedulerConfig, SchedulerOutput, SchedulerStats, SchedulerUpdate, Sequence } from "@weir/core";

class ShortestPromptFirst implements Scheduler {
  readonly #waiting: Sequence[] = [];
  readonly #inner: FcfsScheduler;
  readonly #blocks: BlockManager;
  readonly #config: SchedulerConfig;

  constructor(blocks: BlockManager, config: SchedulerConfig) {
    this.#inner = new FcfsScheduler(blocks, config);
    this.#blocks = blocks;
    this.#config = config;
  }

  add(seq: Sequence): void {
    if (seq.numBlocks > 0) return this.#inner.add(seq); // A fork holds blocks: it runs on.
    if (!this.#blocks.canEverFit(seq)) throw new OutOfBlocksError(`${seq.requestId} asks for ${seq.maxTokens} tokens, too many`);
    this.#waiting.push(seq);
    this.#waiting.sort((a, b) => a.numPromptTokens - b.numPromptTokens);
  }

  schedule(): SchedulerOutput {
    const { numRunning, numWaiting } = this.#inner.stats();
    const seats = this.#config.maxNumSeqs - numRunning - numWaiting;
    for (const seq of this.#waiting.splice(0, seats)) this.#inner.add(seq);
    return this.#inner.schedule();
  }

  abort(seq: Sequence): void {
    const index = this.#waiting.indexOf(seq);
    if (index >= 0) this.#waiting.splice(index, 1);
    else this.#inner.abort(seq);
  }

  update = (update: SchedulerUpdate): void => this.#inner.update(update);
  reset = (): void => this.#inner.reset();
  hasUnfinished = (): boolean => this.#waiting.length > 0 || this.#inner.hasUnfinished();
  sequences = (): Iterable<Sequence> => [...this.#waiting, ...this.#inner.sequences()];
  stats(): SchedulerStats {
    const inner = this.#inner.stats();
    return { ...inner, numWaiting: inner.numWaiting + this.#waiting.length };
  }
}

await using engine = await createEngine({
  model: "packages/cli/model/tiny-shakespeare",
  backend: cpuBackend(),
  maxNumSeqs: 1, // One at a time, so that the order shows.
  scheduler: ({ blockManager, schedulerConfig }) => new ShortestPromptFirst(blockManager, schedulerConfig),
});
const prompts = ["A long speech, with many words in it:", "A few words:", "Word:"];
await Promise.all(prompts.map(async (prompt) => console.log(`done: ${prompt}${await engine.generate(prompt, { maxTokens: 6 }).text()}`)));
