/** Refuses what the kernels cannot do before anything is allocated. Called by `createCpuAttention`. */
import { InvalidOptionsError, type CpuAttentionConfig, type CpuAttentionLayer } from "@weir/core";

/** @throws InvalidOptionsError naming the field, its value and its limit */
export function checkConfig(config: CpuAttentionConfig): void {
  const { blockSize, maxModelLen, maxNumSeqs, maxNumBatchedTokens, numBlocks } = config.limits;
  if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 8 || blockSize > 4096) {
    fail("blockSize", blockSize, "a power of two from 8 to 4096");
  }
  for (const [name, value] of Object.entries({ maxModelLen, maxNumSeqs, maxNumBatchedTokens, numBlocks })) {
    if (!isCount(value)) fail(name, value, "a positive integer");
  }
  if (!isCount(config.threads) || config.threads > 256) fail("threads", config.threads, "an integer from 1 to 256");
  if (config.layers.length === 0) fail("layers", 0, "at least one layer");
  config.layers.forEach((layer, index) => checkLayer(layer, `layers[${index}]`, config));
}

function checkLayer(layer: CpuAttentionLayer, name: string, { ropes, limits }: CpuAttentionConfig): void {
  for (const field of ["headDim", "vHeadDim"] as const) {
    const value = layer[field];
    if (value % 8 !== 0 || value < 16 || value > 256) fail(`${name}.${field}`, value, "a multiple of 8 from 16 to 256");
  }
  if (!isCount(layer.numKvHeads)) fail(`${name}.numKvHeads`, layer.numKvHeads, "a positive integer");
  if (!isCount(layer.numHeads) || layer.numHeads % layer.numKvHeads !== 0) {
    fail(`${name}.numHeads`, layer.numHeads, `a multiple of numKvHeads (${layer.numKvHeads})`);
  }
  if (!(Number.isInteger(layer.window) && layer.window >= 0)) fail(`${name}.window`, layer.window, "0 (all) or a count");
  if (!(Number.isFinite(layer.softcap) && layer.softcap >= 0)) fail(`${name}.softcap`, layer.softcap, "0 (off) or positive");
  if (!Number.isFinite(layer.scale)) fail(`${name}.scale`, layer.scale, "a finite number");
  if (layer.sinks && layer.sinks.length !== layer.numHeads) {
    fail(`${name}.sinks`, `${layer.sinks.length} values`, `one per head (${layer.numHeads})`);
  }
  if (layer.rope === -1) return;
  const rope = ropes[layer.rope];
  if (!rope) return fail(`${name}.rope`, layer.rope, `-1 or an index below ${ropes.length}`);
  const { rotaryDim, cos, sin } = rope;
  if (rotaryDim % 2 !== 0 || rotaryDim < 2 || rotaryDim > layer.headDim) {
    fail(`ropes[${layer.rope}].rotaryDim`, rotaryDim, `an even number from 2 to headDim (${layer.headDim})`);
  }
  const size = (limits.maxModelLen * rotaryDim) / 2;
  if (cos.length < size || sin.length < size) {
    fail(`ropes[${layer.rope}]`, `${Math.min(cos.length, sin.length)} values`, `at least maxModelLen x rotaryDim / 2 (${size})`);
  }
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value > 0;
}

function fail(name: string, value: number | string, limit: string): never {
  throw new InvalidOptionsError(`attention: ${name} is ${value}; it must be ${limit}`);
}
