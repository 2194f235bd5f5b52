/** Two ways into sampling: a LogitsProcessor changes logits for one request, a Sampler chooses tokens for the engine. */
import { cpuBackend } from "@weir/backend-cpu";
import {
  CounterRandom,
  createEngine,
  ROW_NONFINITE,
  ROW_OK,
  type LogitsProcessor,
  type SampledRows,
  type Sampler,
  type SamplingInput,
} from "@weir/core";
import { openModelFolder } from "@weir/core/node";

/** Top-n-sigma (Tang et al. 2024): keeps what lies within n standard deviations of the best logit, then draws. */
class TopSigmaSampler implements Sampler {
  readonly name = "top-sigma";
  readonly #random = new CounterRandom();
  readonly #n: number;

  constructor(n: number) {
    this.#n = n;
  }

  sample(logits: Float32Array, { temperature, seed, counter }: SamplingInput, row: number, out: SampledRows): void {
    const best = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const real = logits.filter((logit) => logit > -Infinity); // -Infinity is a banned token.
    const mean = real.reduce((a, b) => a + b, 0) / real.length;
    const sigma = Math.sqrt(real.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / real.length);
    const scale = Math.max(temperature[row]!, 1e-5);
    const weights = logits.map((logit) => (logit >= best - this.#n * sigma ? Math.exp((logit - best) / scale) : 0));
    // Seeded by request and position: the same draw whatever else is in the batch.
    const u = this.#random.uniform(seed[2 * row]!, seed[2 * row + 1]!, counter[row]!);
    let left = u * weights.reduce((a, b) => a + b, 0);
    const id = weights.findIndex((weight) => (left -= weight) < 0);
    out.status[row] = id < 0 ? ROW_NONFINITE : ROW_OK;
    out.tokenIds[row] = id;
  }
}

const model = await openModelFolder("packages/cli/model/tiny-shakespeare");

/** Bans every token that holds a letter: a lipogram. */
function without(letter: string): LogitsProcessor {
  const ids = Array.from({ length: model.spec.vocabSize }, (_, id) => id);
  const banned = ids.filter((id) => model.tokenizer!.decode([id]).toLowerCase().includes(letter));
  return { name: `without-${letter}`, process: (logits) => banned.forEach((id) => (logits[id] = -Infinity)) };
}

await using engine = await createEngine({ model, backend: cpuBackend(), sampler: new TopSigmaSampler(1) });
const options = { maxTokens: 40, temperature: 1, seed: 11 };
console.log(`--- top-sigma\n${await engine.generate("JULIET:\n", options).text()}`);
const lipogram = { ...options, logitsProcessors: [without("e")] };
console.log(`--- top-sigma, without the letter e\n${await engine.generate("JULIET:\n", lipogram).text()}`);
console.log(`(${engine.stats().milliseconds.userCode.toFixed(0)} ms went into the code of this file)`);
await model.weights.close();
