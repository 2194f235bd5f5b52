/** Opens `random:NAME`: a known shape with seeded random weights. Called by the model folder reader and benchmarks. */
import type { LoadedModel } from "../contracts/index.js";
import { RANDOM_PREFIX, randomModelSpec } from "./random-shapes.js";
import { openWeights } from "./random-source.js";

/**
 * A model with seeded random weights and no tokenizer: prompts must be token ids.
 * @param name `random:llama-1.1b` or `random:qwen2.5-0.5b`
 * @throws ModelLoadError
 */
export async function openRandomModel(name: string): Promise<LoadedModel> {
  const shape = name.slice(name.startsWith(RANDOM_PREFIX) ? RANDOM_PREFIX.length : 0);
  const spec = randomModelSpec(shape);
  return { name: RANDOM_PREFIX + shape, spec, weights: await openWeights({ shape }), storedScheme: "f32" };
}
