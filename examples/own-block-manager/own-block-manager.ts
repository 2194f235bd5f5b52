/**
 * Your own block manager: a watermark. Newcomers may not take the last blocks, which are kept for sequences that are
 * already running; so fewer of these are preempted and computed anew. The same load on ours and on this one.
 */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, PagedBlockManager, type BlockManager, type BlockPoolOptions, type Sequence } from "@weir/core";

class WatermarkBlockManager extends PagedBlockManager {
  readonly #numReserved: number;

  /** @param share of the pool that newcomers may not touch, 0 to 1 */
  constructor(pool: BlockPoolOptions, share: number) {
    super(pool);
    this.#numReserved = Math.ceil(pool.numBlocks * share);
  }

  override canAllocate(seq: Sequence, numTokens: number): boolean {
    const { numFreeBlocks } = this.stats();
    // An empty pool must take any sequence that can ever fit, or that one would wait for ever.
    if (numFreeBlocks === this.numBlocks) return super.canAllocate(seq, numTokens);
    return Math.ceil(numTokens / this.blockSize) + this.#numReserved <= numFreeBlocks;
  }
}

async function run(name: string, make: (pool: BlockPoolOptions) => BlockManager): Promise<string[]> {
  await using engine = await createEngine({
    model: "packages/cli/model/tiny-shakespeare",
    backend: cpuBackend(),
    maxNumSeqs: 8,
    maxModelLen: 256,
    kvCacheBytes: 4 * 2 ** 20, // Room for some three of the eight: they have to take turns.
    blockManager: ({ limits }) => make(limits),
  });
  let preemptions = 0;
  engine.events$.subscribe((event) => void (event.type === "request-preempted" && preemptions++));
  const prompts = ["ROMEO:\n", "JULIET:\n", "NURSE:\n", "FRIAR:\n", "TYBALT:\n", "MERCUTIO:\n", "PARIS:\n", "CAPULET:\n"];
  const texts = await Promise.all(prompts.map((prompt) => engine.generate(prompt, { maxTokens: 200, ignoreEos: true }).text()));
  const { numBlocks, numFreeBlocks } = engine.stats().blocks;
  console.log(`${name}: ${preemptions} preemptions; ${numFreeBlocks} of ${numBlocks} blocks free at the end`);
  return texts;
}

const plain = await run("no watermark     ", (pool) => new PagedBlockManager(pool));
const kept = await run("watermark of 20 %", (pool) => new WatermarkBlockManager(pool, 0.2));
console.log(`the same texts: ${plain.every((text, i) => text === kept[i])}`);
