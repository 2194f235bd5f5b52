import { describe, expect, it } from "vitest";
import { crashRound, engineRound, growthOver } from "./testing-support/engine-churn.js";
import { fixtureFolder } from "./testing-support/test-models.js";

describe("many engines made and disposed", () => {
  // Measured: 0.16 MiB an engine. Of these 0.05 stay with each thread that loads the FFI library, whatever it does
  // then; the rest goes with making native sessions in ever new threads, and comes in steps as an allocator's arenas do.
  it("leave no thread, file or handle, and memory grows by no more than the FFI library's own and the allocator's share", async () => {
    const tiny = { model: fixtureFolder("llama"), maxNumSeqs: 4, maxModelLen: 64 } as const;
    const { mbPerRound, kept } = await growthOver(200, 50, () => engineRound(tiny));
    console.log(`200 engines: ${mbPerRound.toFixed(3)} MiB each`);
    expect(kept).toEqual({});
    expect(mbPerRound).toBeLessThan(0.3);
  });
});

describe("workers that are lost again and again", () => {
  // Measured: 0.1 and 0.4 MiB a life. Without releasing the lost worker's sessions it is 21 to 23.
  it.each(["throw", "exit"] as const)("by %s give back what their life cost", async (how) => {
    const { mbPerRound, kept } = await growthOver(4, 2, () => crashRound(how, 5));
    console.log(`lost by ${how}: ${(mbPerRound / 5).toFixed(2)} MiB a life`);
    expect(kept).toEqual({});
    expect(mbPerRound / 5).toBeLessThan(3);
  });

  // NOTE: a thread that is ended from outside runs no exit handler: its sessions and their threads stay.
  it("by an exhausted heap leave one set of native sessions a life, and no file or handle", async () => {
    const { mbPerRound, kept } = await growthOver(1, 1, () => crashRound("memory", 3));
    console.log(`lost by memory: ${(mbPerRound / 3).toFixed(2)} MiB a life, kept ${JSON.stringify(kept)}`);
    expect([kept.files ?? 0, kept.handles ?? 0]).toEqual([0, 0]);
    expect(mbPerRound / 3).toBeLessThan(40);
  });
});
