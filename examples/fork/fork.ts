/** Fork: several continuations of one running request. They share its KV blocks; a block is copied when it is written. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";

const PROMPT = `${"The quality of mercy is not strained. ".repeat(12)}\n\nPORTIA:\n`;
const WAYS = 4;

await using engine = await createEngine({ model: "packages/cli/model/tiny-shakespeare", backend: cpuBackend(), numBlocks: 256 });

const continuations: Promise<string>[] = [];
const parent = { requestId: "mercy", maxTokens: 24, temperature: 0.9, seed: 1, ignoreEos: true };
let story = "";
for await (const event of engine.generate(PROMPT, parent)) {
  if (event.type === "token" || event.type === "request-end") story += event.text;
  if (event.type !== "token") continue;
  if (event.index === 3) {
    // The prompt and the first tokens are computed once, for all of them.
    for (let way = 1; way < WAYS; way++) {
      const options = { maxTokens: 20, temperature: 0.9, seed: 1 + way, ignoreEos: true };
      const soFar = story;
      continuations.push(
        engine
          .fork("mercy", options)
          .text()
          .then((text) => soFar + text),
      );
    }
  }
  if (event.index === 12) {
    const { numBlocks, numFreeBlocks, numSharedBlocks, blockSize } = engine.stats().blocks;
    const alone = Math.ceil(engine.encode(PROMPT).length / blockSize) * WAYS;
    console.log(
      `${WAYS} continuations hold ${numBlocks - numFreeBlocks} blocks, ${numSharedBlocks} of them shared; apart they would hold ${alone} or more`,
    );
  }
}
for (const [i, text] of [story, ...(await Promise.all(continuations))].entries()) console.log(`${i + 1}: ${JSON.stringify(text)}`);
