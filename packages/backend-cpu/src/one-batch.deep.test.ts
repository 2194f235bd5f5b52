import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { greedyIds, withEngine } from "./testing-support/cpu-test-engine.js";
import { checkOneBatch } from "./testing-support/one-batch.js";

const GIANT_BYTES = 3 * 2 ** 30;

describe.each(["f32", "int8", "int4-g32", "int4-g128"] as const)("64 streams in one batch, %s weights", (quantize) => {
  it.each(["f32", "int8"] as const)("give their solo tokens with %s KV", async (kvDtype) => {
    const figures = await checkOneBatch({ quantize, kvDtype, seed: 64, count: 64, maxLength: 500, arrivals: 400 });
    console.log(`${quantize} weights, ${kvDtype} KV: ${JSON.stringify(figures)}`);
    expect(figures.finished).toBeGreaterThan(30);
    expect(figures.cancelled).toBeGreaterThan(5);
    expect(figures.contiguousOverPaged).toBeGreaterThan(1.1);
  });
});

describe.skipIf(!existsSync("/proc/self/smaps"))("the KV region", () => {
  it.each(["f32", "int8"] as const)("has as much memory committed by the system as stats() says, %s KV", async (kvDtype) => {
    // So large that its mapping cannot be another's; it costs address space only.
    const numBlocks = Math.floor(GIANT_BYTES / (kvDtype === "f32" ? 98_304 : 27_648));
    await withEngine({ quantize: "int8", kvDtype, numBlocks, maxNumSeqs: 64 }, async (engine) => {
      const idle = giantMappingResident();
      await Promise.all(Array.from({ length: 64 }, (_, i) => greedyIds(engine, [i + 2, 3, 4], 200)));
      const { kvCommittedBytes, kvReservedBytes } = engine.stats().memory;
      const grown = giantMappingResident() - idle;
      console.log(`${kvDtype} KV: reserved ${kvReservedBytes}, committed ${kvCommittedBytes}, resident since the load ${grown}`);
      expect(kvReservedBytes).toBeGreaterThan(0.9 * GIANT_BYTES);
      expect(kvCommittedBytes).toBeGreaterThan(10 * 2 ** 20);
      // Beside the cache the region holds the staging rows of a step.
      expect(grown).toBeLessThan(1.02 * kvCommittedBytes + 8 * 2 ** 20);
      expect(grown).toBeGreaterThan(0.98 * kvCommittedBytes);
    });
  });
});

/** Resident bytes of writable mappings of about GIANT_BYTES. */
function giantMappingResident(): number {
  let resident = 0;
  let giant = false;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    const [, from, to, access] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
    if (from && to) giant = access!.startsWith("rw") && Math.abs(parseInt(to, 16) - parseInt(from, 16) - GIANT_BYTES) < 0.1 * GIANT_BYTES;
    const kilobytes = /^Rss:\s+(\d+) kB/.exec(line)?.[1];
    if (giant && kilobytes) resident += Number(kilobytes) * 1024;
  }
  return resident;
}
