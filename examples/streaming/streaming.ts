/** One stream, four ways to read it: async iterator, text, Observable, and cut short by an AbortSignal. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, toText } from "@weir/core";
import { bufferCount, lastValueFrom, map, tap } from "rxjs";

await using engine = await createEngine({ model: "packages/cli/model/tiny-shakespeare", backend: cpuBackend() });
const options = { maxTokens: 24, temperature: 0.8, seed: 7 };

// A TokenStream is cold: nothing runs until it is read, and each reading is a request of its own.
const stream = engine.generate("JULIET:\n", options);

console.log("--- async iterator");
for await (const event of stream) {
  if (event.type === "token") process.stdout.write(event.text);
  if (event.type === "request-end") console.log(`\n[${event.finishReason}, ${event.usage.completionTokens} tokens]`);
}

console.log("--- text");
console.log(await stream.text());

console.log("--- Observable, with RxJS operators");
const lines = stream.pipe(
  toText(),
  bufferCount(8),
  map((pieces) => JSON.stringify(pieces.join(""))),
  tap((line) => console.log(line)),
);
await lastValueFrom(lines);

console.log("--- AbortSignal");
const abort = new AbortController();
try {
  for await (const event of engine.generate("JULIET:\n", { signal: abort.signal })) {
    if (event.type === "token" && event.index === 5) abort.abort();
  }
} catch (error) {
  console.log(`${(error as Error).name}: ${(error as Error).message}`);
}
// Aborting, unsubscribing and leaving the loop all free the request's blocks by the next step.
await engine.drain();
const { numBlocks, numFreeBlocks } = engine.stats().blocks;
console.log(`${numFreeBlocks} of ${numBlocks} KV blocks are free`);
