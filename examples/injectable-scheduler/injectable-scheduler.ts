/** A scheduler through tsyringe: the engine resolves it from a child of your container, and injects its own parts. */
// First: it loads the small reflect-metadata that tsyringe asks for.
import { BLOCK_MANAGER, createEngine, SCHEDULER, SCHEDULER_CONFIG } from "@weir/core/di";
import { cpuBackend } from "@weir/backend-cpu";
import { FcfsScheduler, type BlockManager, type SchedulerConfig, type SchedulerOutput } from "@weir/core";
import { container, inject, injectable, singleton } from "tsyringe";

/** A service of yours. */
@singleton()
class BatchSizes {
  readonly seen = new Map<number, number>();

  count(size: number): void {
    this.seen.set(size, (this.seen.get(size) ?? 0) + 1);
  }
}

// Explicit @inject: bundlers and test runners on esbuild emit no decorator metadata.
@injectable()
class CountingScheduler extends FcfsScheduler {
  readonly #sizes: BatchSizes;

  constructor(
    @inject(BLOCK_MANAGER) blockManager: BlockManager,
    @inject(SCHEDULER_CONFIG) config: SchedulerConfig,
    @inject(BatchSizes) sizes: BatchSizes,
  ) {
    super(blockManager, config);
    this.#sizes = sizes;
  }

  override schedule(): SchedulerOutput {
    const output = super.schedule();
    this.#sizes.count(output.sequences.length);
    return output;
  }
}

container.register(SCHEDULER, { useClass: CountingScheduler });

const engine = await createEngine({ model: "packages/cli/model/tiny-shakespeare", backend: cpuBackend(), container });
const lengths = [4, 8, 12, 16];
await Promise.all(lengths.map((maxTokens) => engine.generate("ROMEO:\n", { maxTokens }).text()));
await engine.dispose();

for (const [size, steps] of container.resolve(BatchSizes).seen) console.log(`${steps} steps with ${size} streams`);
