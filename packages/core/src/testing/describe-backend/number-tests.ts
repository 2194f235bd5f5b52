/** Conformance: the numbers are right, and do not depend on company, chunks or the place of blocks. */
import { assert, type BackendTest, expectTokens, newTokens, NUM_NEW_TOKENS, type TestBench, WANT_LOGITS } from "./test-bench.js";

export const NUMBER_TESTS: readonly BackendTest[] = [
  {
    name: "gives the reference's logits for each prompt",
    needs: ({ cases }) => (cases.some(({ logits_last }) => logits_last) ? undefined : "the fixture has no logits"),
    async run(bench) {
      for (const { prompt_ids, logits_last } of bench.cases) {
        if (logits_last) bench.expectLogits(await promptLogits(bench, prompt_ids), logits_last, `prompt of ${prompt_ids.length}`);
      }
    },
  },
  {
    name: "gives the reference's greedy tokens",
    needs: ({ cases }) => (cases.some(({ greedy_ids }) => greedy_ids) ? undefined : "the fixture has no tokens"),
    async run(bench) {
      const alone = await bench.allAlone();
      bench.cases.forEach(({ prompt_ids, greedy_ids }, i) => {
        if (greedy_ids) expectTokens(alone[i]!.slice(0, greedy_ids.length), greedy_ids, `prompt of ${prompt_ids.length}`);
      });
    },
  },
  {
    name: "gives the same tokens when prefills and decodes share a batch",
    async run(bench) {
      const alone = await bench.alone();
      const driver = bench.driver();
      const sequences = bench.cases.map(({ prompt_ids }) => driver.add(prompt_ids));
      // One more sequence joins at each step, so decodes run beside prefills.
      for (let numRunning = 1; numRunning < sequences.length; numRunning++) await driver.decode(sequences.slice(0, numRunning), 1);
      for (const [i, sequence] of sequences.entries()) {
        while (newTokens(sequence).length < NUM_NEW_TOKENS) {
          await driver.decode(
            sequences.slice(i).filter((other) => newTokens(other).length < NUM_NEW_TOKENS),
            1,
          );
        }
        expectTokens(newTokens(sequence), alone[i]!, `sequence ${i} in a batch`);
      }
    },
  },
  {
    name: "gives the same logits when a prompt is computed in chunks",
    async run(bench) {
      for (const { prompt_ids } of bench.cases) {
        const whole = await promptLogits(bench, prompt_ids);
        for (const chunk of [1, 5, 16]) {
          const chunked = await promptLogits(bench, prompt_ids, { chunk });
          bench.expectSameLogits(chunked, whole, `prompt of ${prompt_ids.length} in chunks of ${chunk}`);
        }
      }
    },
  },
  {
    name: "gives the same logits wherever the blocks lie",
    async run(bench) {
      const { prompt_ids } = longestCase(bench);
      const first = await promptLogits(bench, prompt_ids, { seed: 1 });
      for (const seed of [2, 3, 4]) {
        bench.expectSameLogits(await promptLogits(bench, prompt_ids, { seed, chunk: 7 }), first, `blocks shuffled by ${seed}`);
      }
    },
  },
  {
    name: "computes a preempted sequence anew to the same tokens",
    async run(bench) {
      const alone = await bench.alone();
      const driver = bench.driver();
      const sequences = bench.cases.map(({ prompt_ids }) => driver.add(prompt_ids));
      await driver.decode(sequences, 3);
      const preempted = sequences.filter((_, i) => i % 2 === 0);
      preempted.forEach((sequence) => driver.preempt(sequence));
      await driver.decode(
        sequences.filter((_, i) => i % 2 === 1),
        2,
      );
      for (const [i, sequence] of sequences.entries()) {
        await driver.decode([sequence], NUM_NEW_TOKENS - newTokens(sequence).length);
        expectTokens(newTokens(sequence), alone[i]!, `sequence ${i} after preemption`);
      }
    },
  },
];

function longestCase(bench: TestBench): TestBench["cases"][number] {
  return bench.cases.reduce((longest, each) => (each.prompt_ids.length > longest.prompt_ids.length ? each : longest));
}

async function promptLogits(
  bench: TestBench,
  promptIds: readonly number[],
  { chunk = promptIds.length, seed = 1 }: { readonly chunk?: number; readonly seed?: number } = {},
): Promise<Float32Array> {
  const driver = bench.driver(seed);
  const sequence = driver.add(promptIds, { wants: WANT_LOGITS });
  for (;;) {
    const output = await driver.step([{ sequence, numTokens: Math.min(chunk, promptIds.length - sequence.numComputed) }]);
    if (sequence.numComputed < promptIds.length) continue;
    assert(output.numRows === 1, `one row was asked for, ${output.numRows} came`);
    return bench.logitsOf(output, 0);
  }
}
