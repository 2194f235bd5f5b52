import { expect, it } from "vitest";
import { goodFile, mutate, outcome } from "./safetensors-fuzz.js";

it("10,000 changed safetensors files load whole or fail with a typed error, quickly and without growing memory", () => {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  let loaded = 0;
  for (let seed = 1_000_000; seed < 1_010_000; seed++) if (outcome(mutate(goodFile(), seed)) === "loaded") loaded++;
  expect(loaded).toBeGreaterThan(0);
  expect(performance.now() - start).toBeLessThan(60_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
});
