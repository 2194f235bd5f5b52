/** Conformance: under a whole engine, with either block manager, too few blocks for all, and forks, tokens stay the same. */
import type { LLMEngine } from "../../engine/llm-engine.js";
import { ContiguousBlockManager, PagedBlockManager } from "../../kv/index.js";
import { assertIdle, tokenIdsOf } from "../drive-engine.js";
import { assert, type BackendTest, expectTokens, NUM_NEW_TOKENS, type TestBench } from "./test-bench.js";

const OPTIONS = { maxTokens: NUM_NEW_TOKENS, ignoreEos: true } as const;

export const ENGINE_TESTS: readonly BackendTest[] = [
  {
    name: "gives the same tokens under preemption, from a pool of pages too small for all",
    async run(bench) {
      const least = await bench.blocksOfLongest();
      let numPreemptions = 0;
      // In which pool a sequence needs a block that nobody has left depends on the lengths of the fixture's cases.
      for (let numBlocks = least; numPreemptions === 0 && numBlocks < least + 8; numBlocks++) {
        const engine = await bench.makeEngine({ numBlocks, blockManager: ({ limits }) => new PagedBlockManager(limits) });
        await runAll(bench, engine);
        numPreemptions = engine.stats().scheduler.numPreemptions;
        await engine.dispose();
      }
      assert(numPreemptions > 0, "nothing was preempted: no pool was small enough to show anything");
    },
  },
  {
    name: "gives the same tokens with contiguous KV memory, some at a time",
    async run(bench) {
      const engine = await bench.makeEngine({
        numBlocks: 2 * (await bench.blocksOfLongest()),
        blockManager: ({ limits }) => new ContiguousBlockManager(limits),
      });
      await runAll(bench, engine);
      await engine.dispose();
    },
  },
  {
    name: "lets a running request be forked, and both write on",
    async run(bench) {
      const alone = (await bench.alone()).at(-1)!;
      const engine = await bench.makeEngine({ numBlocks: 4 * (await bench.blocksOfLongest()) });
      const parent: number[] = [];
      let child: Promise<number[]> | undefined;
      let shared = 0;
      for await (const event of engine.generate([...bench.cases.at(-1)!.prompt_ids], { ...OPTIONS, requestId: "parent" })) {
        if (event.type !== "token") continue;
        parent.push(event.id);
        if (parent.length === 3) child = tokenIdsOf(engine.fork("parent", { ...OPTIONS, maxTokens: NUM_NEW_TOKENS - 3 }));
        shared = Math.max(shared, engine.stats().blocks.numSharedBlocks);
      }
      expectTokens(parent, alone, "the parent");
      expectTokens(await child!, alone.slice(3), "the child");
      // Fewer tokens than a block: then the one that they share is copied before anybody looks.
      const sharesWhole = bench.cases.at(-1)!.prompt_ids.length >= bench.runner.limits.blockSize;
      assert(shared > 0 || !sharesWhole, "parent and child shared no block");
      assertIdle(engine);
      await engine.dispose();
    },
  },
];

/** Every case several times, all at once; as many tokens as there are to compare, so that most need another block. */
async function runAll(bench: TestBench, engine: LLMEngine): Promise<void> {
  const alone = await bench.allAlone();
  const cases = [...bench.cases.entries(), ...bench.cases.entries(), ...bench.cases.entries()];
  const all = await Promise.all(
    cases.map(([i, { prompt_ids }]) => tokenIdsOf(engine.generate([...prompt_ids], { ...OPTIONS, maxTokens: alone[i]!.length }))),
  );
  for (const [i, tokens] of all.entries()) expectTokens(tokens, alone[cases[i]![0]]!, `request ${i}`);
  assertIdle(engine);
}
