/** Your own attention kernel: the module beside this file replaces the WebAssembly one, and tells the same story. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine, type CpuAttentionKernel, type EngineOptions } from "@weir/core";

const naive: CpuAttentionKernel = {
  name: "naive",
  backend: "cpu",
  // A URL, since it runs in a worker; transpiled like this file, it is JavaScript by now.
  module: new URL("./naive-attention.js", import.meta.url).href,
};

async function tell(options: Partial<EngineOptions>): Promise<string> {
  await using engine = await createEngine({
    model: "packages/cli/model/tiny-shakespeare",
    backend: cpuBackend(),
    maxModelLen: 256,
    maxNumSeqs: 4,
    ...options,
  });
  const start = performance.now();
  const texts = await Promise.all(["ROMEO:\n", "JULIET:\n"].map((prompt) => engine.generate(prompt, { maxTokens: 30 }).text()));
  const { attention, total } = engine.stats().milliseconds.runner;
  const share = `${((100 * attention) / total).toFixed(0)} % of it attention`;
  console.log(`${options.attentionKernel ? "naive" : "ours "}: ${(performance.now() - start).toFixed(0)} ms, ${share}`);
  return texts.join("\n---\n");
}

const ours = await tell({});
const theirs = await tell({ attentionKernel: naive });
console.log(`the same text: ${ours === theirs}\n${theirs}`);
