/** Engines come and go, workers are lost: threads, files, handles and memory do not add up. */
import { describe, expect, it } from "vitest";
import { cpuBackend } from "./cpu-backend.js";
import { TEST_CACHE } from "./testing-support/cpu-test-engine.js";
import { crashRound, engineRound, growthOver } from "./testing-support/engine-churn.js";
import { fixtureFolder } from "./testing-support/test-models.js";

const TINY = { model: fixtureFolder("llama"), maxNumSeqs: 4, maxModelLen: 64 } as const;

describe("tens of engines made and disposed", () => {
  it("leave no thread, file or handle and no memory that grows, with backends of their own and one of the caller's", async () => {
    const backend = cpuBackend({ threads: 2, cacheDir: TEST_CACHE });
    const round = async (): Promise<void> => {
      await engineRound(TINY);
      await engineRound({ ...TINY, backend });
    };
    const stretches = [await growthOver(3, 4, round), await growthOver(3, 0, round), await growthOver(3, 0, round)];
    expect(stretches.map(({ kept }) => kept)).toEqual([{}, {}, {}]);
    // A leak grows in every stretch, by 5 MiB a round where sessions are left; an allocator's steps fall into some.
    expect(Math.min(...stretches.map(({ mbPerRound }) => mbPerRound))).toBeLessThan(2);
  });
});

describe("workers that are lost", () => {
  // One life's sessions hold some 25 MB of the demo model's f32 weights.
  it.each(["throw", "memory"] as const)("by %s release the native sessions they held", async (how) => {
    const { mbPerRound, kept } = await growthOver(1, 1, () => crashRound(how, 3));
    expect(kept).toEqual({});
    expect(mbPerRound / 3).toBeLessThan(6);
  });
});
