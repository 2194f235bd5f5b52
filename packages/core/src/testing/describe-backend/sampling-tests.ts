/** Conformance: sampling is a function of the row, its seed and its counter; logprobs belong to the logits. */
import { MAX_LOGPROBS } from "../../contracts/index.js";
import { assert, type BackendTest, expectTokens, newTokens, NUM_NEW_TOKENS, type TestBench, WANT_LOGITS } from "./test-bench.js";

export const SAMPLING_TESTS: readonly BackendTest[] = [
  {
    name: "samples the same tokens for the same seed, in any row of any batch",
    async run(bench) {
      const first = await sampled(bench, [11]);
      const among = await sampled(bench, [12, 13, 11, 14]);
      expectTokens(among[2]!, first[0]!, "seed 11 in the third row");
      assert(
        among.some((tokens, i) => i !== 2 && tokens.join() !== first[0]!.join()),
        "all seeds gave the same tokens",
      );
    },
  },
  {
    name: "gives logprobs that belong to the logits",
    async run(bench) {
      for (const { prompt_ids } of bench.cases) {
        const driver = bench.driver();
        const sequence = driver.add(prompt_ids, { wants: WANT_LOGITS, numLogprobs: 5 });
        const output = await driver.step([{ sequence }]);
        const logits = bench.logitsOf(output, 0);
        const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
        const logSum = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
        expectLogprob(output.logprobs[0]!, logits[output.tokenIds[0]!]! - logSum, "the chosen token");
        const best = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, 5);
        expectTokens([...output.topIds.subarray(0, 5)], best, "the five best");
        best.forEach((id, i) => expectLogprob(output.topLogprobs[i]!, logits[id]! - logSum, `place ${i + 1}`));
        assert(output.topIds.length >= MAX_LOGPROBS, "topIds has too few columns");
        driver.preempt(sequence);
      }
    },
  },
];

/** The last case's prompt once per seed, all in one batch. */
async function sampled(bench: TestBench, seeds: readonly number[]): Promise<number[][]> {
  const driver = bench.driver();
  const promptIds = bench.cases[0]!.prompt_ids;
  const sequences = seeds.map((seed) => driver.add(promptIds, { temperature: 1, seed }));
  await driver.decode(sequences, NUM_NEW_TOKENS);
  return sequences.map(newTokens);
}

function expectLogprob(actual: number, expected: number, what: string): void {
  assert(Math.abs(actual - expected) <= 2e-3, `the logprob of ${what} is ${actual}, expected ${expected}`);
}
