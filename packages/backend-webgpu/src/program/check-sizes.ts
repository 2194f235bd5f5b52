/** Does every buffer of a lowered model fit a binding of this GPU? Asked before any is made. Weights are split to fit. */
import { InvalidOptionsError, type ModelLimits } from "@weir/core";
import type { LoweredModel } from "./lower-model.js";
import { StepTables } from "./step-tables.js";

const PER_SEQUENCE: ReadonlySet<string> = new Set(["logits", "lastNormed", "sequences", "blockTables", "rows"]);

/** @throws InvalidOptionsError naming the buffer, its size, the limit, and the option to lower */
export function checkSizes({ activations, kvBlocks }: LoweredModel, limits: ModelLimits, maxBindingBytes: number): void {
  const { numBlocks } = limits;
  const largestBlock = Math.max(...kvBlocks.map(({ keys, values }) => Math.max(keys, values)));
  if (largestBlock * numBlocks > maxBindingBytes) {
    const most = Math.floor(maxBindingBytes / largestBlock);
    throw new InvalidOptionsError(
      `numBlocks is ${numBlocks}: a layer's keys would take ${largestBlock * numBlocks} bytes, and this GPU binds at most ${maxBindingBytes}; ` +
        `lower kvCacheBytes, or set numBlocks to at most ${most}`,
    );
  }
  for (const [name, bytes] of [...activations, ...StepTables.sizes(limits)]) {
    if (bytes <= maxBindingBytes) continue;
    const option = PER_SEQUENCE.has(name) ? "maxNumSeqs" : "maxNumBatchedTokens";
    throw new InvalidOptionsError(
      `${option} is ${limits[option]}: the buffer '${name}' would take ${bytes} bytes, and this GPU binds at most ${maxBindingBytes}; lower ${option}`,
    );
  }
}
