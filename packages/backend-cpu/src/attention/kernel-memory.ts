/**
 * One WebAssembly memory with the caches, tables and staging rows of consecutive layers, and this thread's kernel
 * instance on it. Made by WasmAttention, one per 4 GiB of cache.
 */
import { InternalError, InvalidOptionsError, type CpuAttentionConfig, type CpuAttentionLayer, type ModelInput } from "@weir/core";
import * as abi from "./kernel-abi.js";
import { PAGE_BYTES, qkvWidth, type LayerPlan, type MemoryPlan } from "./memory-plan.js";
import { StepPlan } from "./step-plan.js";
import { wasm, type KernelExports, type WasmMemory, type WasmModule } from "./webassembly.js";

export class KernelMemory {
  readonly plan: MemoryPlan;
  readonly memory: WasmMemory;
  readonly kernel: KernelExports;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #floats: Float32Array;
  readonly #steps: readonly StepPlan[];
  readonly #limits: CpuAttentionConfig["limits"];

  constructor(plan: MemoryPlan, module: WasmModule, config: CpuAttentionConfig) {
    this.plan = plan;
    this.#limits = config.limits;
    this.memory = reserve(plan.bytes);
    this.kernel = new wasm.Instance(module, { env: { memory: this.memory } }).exports as KernelExports;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
    this.#floats = new Float32Array(this.memory.buffer);
    plan.ropes.forEach(({ cos, sin }, i) => {
      const rope = config.ropes[i]!;
      const size = (config.limits.maxModelLen * rope.rotaryDim) / 2;
      this.#floats.set(rope.cos.subarray(0, size), cos >>> 2);
      this.#floats.set(rope.sin.subarray(0, size), sin >>> 2);
    });
    for (const layer of plan.layers) this.#describe(layer, config);
    this.#steps = plan.steps.map((at) => new StepPlan(this.#words, at, plan, config.threads));
  }

  /** [maxNumBatchedTokens, width] f32 at `address` */
  rows(address: number, width: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, width * this.#limits.maxNumBatchedTokens);
  }

  /** Takes over the step's tables and cuts its work. */
  begin(input: ModelInput): void {
    this.#copyTokens(input);
    this.#copyTables(input);
    for (const step of this.#steps) step.build(input);
  }

  /** The kernels check no address, so everything that becomes one is checked here. */
  #copyTokens({ numTokens, positions, slotMapping }: ModelInput): void {
    const { maxNumBatchedTokens, maxModelLen, numBlocks, blockSize } = this.#limits;
    checkBelow("numTokens", numTokens, maxNumBatchedTokens + 1);
    for (let token = 0; token < numTokens; token++) {
      const position = positions[token]!;
      const slot = slotMapping[token]!;
      checkBelow("position", position, maxModelLen);
      if (slot >= 0) checkBelow("slot", slot, numBlocks * blockSize);
      this.#words[(this.plan.positions >>> 2) + token] = position;
      this.#words[(this.plan.slots >>> 2) + token] = slot;
    }
  }

  #copyTables({ numSeqs, pastLens, cuSeqlensQ, blockTables, maxBlocksPerSeq }: ModelInput): void {
    const { maxNumSeqs, maxModelLen, numBlocks, blockSize } = this.#limits;
    checkBelow("numSeqs", numSeqs, maxNumSeqs + 1);
    for (let seq = 0; seq < numSeqs; seq++) {
      const length = pastLens[seq]! + cuSeqlensQ[seq + 1]! - cuSeqlensQ[seq]!;
      checkBelow("sequence length", length, maxModelLen + 1);
      const to = (this.plan.tables >>> 2) + seq * this.plan.maxBlocksPerSeq;
      for (let i = 0; i * blockSize < length; i++) {
        const block = blockTables[seq * maxBlocksPerSeq + i]!;
        checkBelow("block", block, numBlocks);
        this.#words[to + i] = block;
      }
    }
  }

  /** Clears the job's counters; returns its size in multiply-adds. */
  prepare({ step }: LayerPlan, { numHeads, headDim, vHeadDim }: CpuAttentionLayer): number {
    this.#words[abi.CONTROL_NEXT_STORE >>> 2] = 0;
    this.#words[abi.CONTROL_STORES_DONE >>> 2] = 0;
    this.#words[abi.CONTROL_NEXT_ITEM >>> 2] = 0;
    return this.#steps[step]!.pairs * numHeads * (headDim + vHeadDim);
  }

  copyBlock(from: number, to: number): void {
    for (const { cache, block } of this.plan.layers) {
      const source = cache + from * block.bytes;
      this.#bytes.copyWithin(cache + to * block.bytes, source, source + block.bytes);
    }
  }

  /** One layer's bytes of a block, in place. */
  block(layer: LayerPlan, index: number): Uint8Array {
    const { bytes } = layer.block;
    return this.#bytes.subarray(layer.cache + index * bytes, layer.cache + (index + 1) * bytes);
  }

  #describe(at: LayerPlan, { layers, ropes, limits }: CpuAttentionConfig): void {
    const layer = layers[at.index]!;
    const rope = layer.rope < 0 ? undefined : ropes[layer.rope];
    const integer = (field: number, value: number): void => void (this.#words[(at.descriptor + field) >>> 2] = value);
    const float = (field: number, value: number): void => void (this.#floats[(at.descriptor + field) >>> 2] = value);
    integer(abi.LAYER_NUM_KV_HEADS, layer.numKvHeads);
    integer(abi.LAYER_GROUP, layer.numHeads / layer.numKvHeads);
    integer(abi.LAYER_HEAD_DIM, layer.headDim);
    integer(abi.LAYER_V_HEAD_DIM, layer.vHeadDim);
    float(abi.LAYER_SCALE, layer.scale * Math.LOG2E);
    integer(abi.LAYER_WINDOW, layer.window);
    float(abi.LAYER_SOFTCAP, layer.softcap * Math.LOG2E);
    integer(abi.LAYER_SINKS, at.sinks);
    layer.sinks?.forEach((sink, head) => (this.#floats[(at.sinks >>> 2) + head] = sink * Math.LOG2E));
    integer(abi.LAYER_ROTARY_DIM, rope?.rotaryDim ?? 0);
    integer(abi.LAYER_INTERLEAVED, Number(rope?.interleaved ?? false));
    integer(abi.LAYER_COS, this.plan.ropes[layer.rope]?.cos ?? 0);
    integer(abi.LAYER_SIN, this.plan.ropes[layer.rope]?.sin ?? 0);
    integer(abi.LAYER_QKV, at.qkv);
    integer(abi.LAYER_QKV_STRIDE, qkvWidth(layer) * 4);
    integer(abi.LAYER_OUTPUT, at.output);
    integer(abi.LAYER_OUTPUT_STRIDE, layer.numHeads * layer.vHeadDim * 4);
    integer(abi.LAYER_CACHE, at.cache);
    integer(abi.LAYER_BLOCK_STRIDE, at.block.bytes);
    integer(abi.LAYER_K_SCALES, at.block.kScales);
    integer(abi.LAYER_V, at.block.v);
    integer(abi.LAYER_V_SCALES, at.block.vScales);
    integer(abi.LAYER_BLOCK_SHIFT, Math.log2(limits.blockSize));
    integer(abi.LAYER_PLAN, this.plan.steps[at.step]!.plan);
  }
}

function checkBelow(name: string, value: number, end: number): void {
  if (!(value >= 0 && value < end)) throw new InternalError(`attention: ${name} ${value} of the step is not in 0 to ${end - 1}`);
}

/** initial = maximum: the buffer never moves, and pages that nobody touches cost nothing. */
function reserve(bytes: number): WasmMemory {
  const pages = bytes / PAGE_BYTES;
  try {
    return new wasm.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new InvalidOptionsError(`attention: could not reserve ${bytes} bytes for the KV cache; lower numBlocks`, { cause });
  }
}
