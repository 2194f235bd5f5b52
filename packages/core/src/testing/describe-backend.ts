/**
 * describeBackend: the conformance suite that every backend package runs. Each test is a promise of the contract:
 * right numbers, and the same numbers alone or in company, in chunks, anywhere in the block pool, under a whole engine.
 * In: how to make the backend, reference models, tolerances, skips with reasons. Needs vitest, imported when called.
 */
import { ENGINE_TESTS } from "./describe-backend/engine-tests.js";
import type { DescribeBackendOptions } from "./describe-backend/fixture.js";
import { KV_TESTS } from "./describe-backend/kv-tests.js";
import { NUMBER_TESTS } from "./describe-backend/number-tests.js";
import { SAMPLING_TESTS } from "./describe-backend/sampling-tests.js";
import { type BackendTest, TestBench } from "./describe-backend/test-bench.js";

export type { BackendFixture, BackendTolerances, DescribeBackendOptions, ExpectedCase } from "./describe-backend/fixture.js";

/** Every test of the suite, by name. */
export const BACKEND_TESTS: readonly BackendTest[] = [...NUMBER_TESTS, ...KV_TESTS, ...SAMPLING_TESTS, ...ENGINE_TESTS];

/**
 * Declares the suite. Await it at the top level of a test file.
 * @throws Error for a skip that names no test
 * @example
 * await describeBackend({ name: "mine", createBackend: () => myBackend(), fixtures: [{ name: "llama", open, cases }] });
 */
export async function describeBackend(options: DescribeBackendOptions): Promise<void> {
  const { afterAll, beforeAll, describe, it } = await import("vitest");
  const reasons = skipReasons(options);
  describe(`backend ${options.name}`, () => {
    describe.each(options.fixtures.map((fixture) => [fixture.name, fixture] as const))("on %s", (_, fixture) => {
      const bench = new TestBench(options, fixture);
      beforeAll(() => bench.open());
      afterAll(() => bench.close());
      for (const { name, needs, run } of BACKEND_TESTS) {
        const reason = reasons.get(name) ?? needs?.(fixture);
        if (reason === undefined) it(name, () => run(bench));
        else it.skip(`${name} (${reason})`, () => {});
      }
    });
  });
}

function skipReasons({ skip = [] }: DescribeBackendOptions): ReadonlyMap<string, string> {
  const names = new Set(BACKEND_TESTS.map(({ name }) => name));
  for (const { test } of skip) {
    if (!names.has(test)) throw new Error(`skip names ${JSON.stringify(test)}, which is no test; there are ${[...names].join("; ")}`);
  }
  return new Map(skip.map(({ test, reason }) => [test, reason]));
}
