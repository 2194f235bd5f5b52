import { describe, expect, it } from "vitest";
import { crashRound, engineRound, growthOver } from "./testing-support/engine-churn.js";
import { fixtureFolder } from "./testing-support/test-models.js";

describe("many engines made and disposed", () => {
  // Measured: 0.16 to 0.33 MiB an engine. A bare thread that declares this library's functions and opens one session
  // through the FFI library keeps 0.12 of these, whatever is disposed; the rest comes in steps, as an allocator's arenas do.
  // Sessions left behind were measured at 2.5 MiB and two threads an engine. A leak shows in every stretch.
  it("leave no thread, file or handle, and memory grows by no more than the FFI library's own and the allocator's share", async () => {
    const tiny = { model: fixtureFolder("llama"), maxNumSeqs: 4, maxModelLen: 64 } as const;
    const stretches = [await growthOver(100, 50, () => engineRound(tiny)), await growthOver(100, 0, () => engineRound(tiny))];
    console.log(`2 x 100 engines: ${stretches.map(({ mbPerRound }) => mbPerRound.toFixed(3)).join(" and ")} MiB each`);
    expect(stretches.map(({ kept }) => kept)).toEqual([{}, {}]);
    expect(Math.min(...stretches.map(({ mbPerRound }) => mbPerRound))).toBeLessThan(1);
  });
});

describe("workers that are lost again and again", () => {
  // Measured: 0.1 to 0.6 MiB a life. Without releasing the lost worker's sessions it is 21 to 23.
  it.each([
    ["a throw", "throw"],
    ["process.exit", "exit"],
    // No handler of that thread runs: the caller's thread releases what the ledger names.
    ["an exhausted heap", "memory"],
  ] as const)("by %s give back what their life cost", async (name, how) => {
    const { mbPerRound, kept } = await growthOver(4, 2, () => crashRound(how, 5));
    console.log(`lost by ${name}: ${(mbPerRound / 5).toFixed(2)} MiB a life`);
    expect(kept).toEqual({});
    expect(mbPerRound / 5).toBeLessThan(3);
  });
});
