/** engine.events$: a hot stream of everything that happens. Metrics, traces and live tables are mere subscribers. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, type EngineEvent } from "@weir/core";
import { count, filter, sampleTime, scan } from "rxjs";

await using engine = await createEngine({
  model: "packages/cli/model/tiny-shakespeare",
  backend: cpuBackend(),
  quantize: "auto",
  maxNumSeqs: 8,
});

type StepEnd = Extract<EngineEvent, { type: "step-end" }>;
type RequestEnd = Extract<EngineEvent, { type: "request-end" }>;

const columns = ["step", "running", "waiting", "tokens", "free blocks", "ms", "tok/s"];
console.log(columns.map((name) => name.padStart(12)).join(""));
const start = performance.now();

// A row of the table every 50 ms, whatever the number of steps.
engine.events$
  .pipe(
    filter((event): event is StepEnd => event.type === "step-end"),
    scan((sum, { stats }) => ({ stats, sampled: sum.sampled + stats.numRows }), { sampled: 0 } as {
      stats?: StepEnd["stats"];
      sampled: number;
    }),
    sampleTime(50),
  )
  .subscribe(({ stats, sampled }) => {
    const { step, numRunning, numWaiting, numBatchedTokens, numFreeBlocks, execute } = stats!;
    const rate = (sampled * 1000) / (performance.now() - start);
    const cells = [step, numRunning, numWaiting, numBatchedTokens, numFreeBlocks, execute.toFixed(1), rate.toFixed(0)];
    console.log(cells.map((cell) => String(cell).padStart(12)).join(""));
  });

engine.events$
  .pipe(
    filter((event): event is RequestEnd => event.type === "request-end"),
    count(), // Emits when the engine is disposed and the stream completes.
  )
  .subscribe((requests) => console.log(`${requests} requests ended`));

await Promise.all(
  Array.from({ length: 24 }, (_, i) =>
    engine.generate(`Citizen ${i}:\n`, { maxTokens: 30 + 5 * i, seed: i, temperature: 0.9, ignoreEos: true }).text(),
  ),
);
