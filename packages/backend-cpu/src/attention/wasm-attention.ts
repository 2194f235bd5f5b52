/**
 * Paged attention in WebAssembly, the CPU backend's own kernel. Loaded by URL in the runner's worker.
 * In: q, k, v rows that the runtime wrote to `qkv(layer)` and the step's tables. Out: `output(layer)`.
 * The arithmetic is in assembly/; memory-plan.ts has the addresses, step-plan.ts the work lists, thread-pool.ts the threads.
 */
import {
  DisposedError,
  InvalidOptionsError,
  type CpuAttention,
  type CpuAttentionConfig,
  type CreateCpuAttention,
  type ModelInput,
} from "@weir/core";
import { cacheDtype } from "./block-layout.js";
import { checkConfig } from "./check-config.js";
import { loadKernel } from "./kernel-module.js";
import { KernelMemory } from "./kernel-memory.js";
import { planMemories, qkvWidth, type LayerPlan } from "./memory-plan.js";
import { ThreadPool } from "./thread-pool.js";

export interface WasmAttentionOptions {
  /** Layers with fewer multiply-adds than this run on the calling thread alone. Default 400,000, some 20 microseconds. */
  readonly minParallelWork?: number;
}

/**
 * Reserves the KV cache and starts `threads - 1` helper threads.
 * @throws InvalidOptionsError for sizes the kernels cannot take; BackendUnavailableError without the .wasm files
 */
export const createCpuAttention: CreateCpuAttention = async (config, options) => {
  checkConfig(config);
  const { minParallelWork = 400_000 } = (options ?? {}) as WasmAttentionOptions;
  const dtype = cacheDtype(config.kvDtype);
  const plans = planMemories(config, dtype);
  const module = await loadKernel(dtype);
  const memories = plans.map((plan) => new KernelMemory(plan, module, config));
  const pool = config.threads > 1 ? new ThreadPool(memories, module, config.threads - 1) : undefined;
  await pool?.ready();
  return new WasmAttention(config, memories, pool, minParallelWork);
};

/** Where a layer lives. */
interface LayerHome {
  readonly memory: number;
  readonly plan: LayerPlan;
  readonly qkv: Float32Array;
  readonly output: Float32Array;
}

class WasmAttention implements CpuAttention {
  readonly blockBytes: number;
  readonly layout: string;
  readonly #config: CpuAttentionConfig;
  readonly #memories: readonly KernelMemory[];
  readonly #pool: ThreadPool | undefined;
  readonly #minParallelWork: number;
  readonly #homes: readonly LayerHome[];
  /** [numBlocks] u8, 1 once a block was written */
  readonly #touched: Uint8Array;
  #touchedBlocks = 0;
  #disposed = false;

  constructor(config: CpuAttentionConfig, memories: readonly KernelMemory[], pool: ThreadPool | undefined, minParallelWork: number) {
    this.#config = config;
    this.#memories = memories;
    this.#pool = pool;
    this.#minParallelWork = minParallelWork;
    this.#homes = memories.flatMap((memory, index) => memory.plan.layers.map((plan) => homeOf(config, memory, index, plan)));
    this.blockBytes = this.#homes.reduce((sum, { plan }) => sum + plan.block.bytes, 0);
    this.layout = `weir-cpu-${config.kvDtype}-b${config.limits.blockSize}-v1`;
    this.#touched = new Uint8Array(config.limits.numBlocks);
  }

  qkv(layer: number): Float32Array {
    return this.#homes[layer]!.qkv;
  }

  output(layer: number): Float32Array {
    return this.#homes[layer]!.output;
  }

  begin(input: ModelInput): void {
    this.#checkUsable();
    for (const memory of this.#memories) memory.begin(input);
    const shift = Math.log2(this.#config.limits.blockSize);
    for (let token = 0; token < input.numTokens; token++) {
      if (input.slotMapping[token]! >= 0) this.#touch(input.slotMapping[token]! >> shift);
    }
  }

  run(layer: number): void {
    this.#checkUsable();
    const { memory: index, plan } = this.#homes[layer]!;
    const memory = this.#memories[index]!;
    const work = memory.prepare(plan, this.#config.layers[layer]!);
    if (this.#pool && work >= this.#minParallelWork) this.#pool.run(index, plan.descriptor);
    else memory.kernel.work(plan.descriptor, 0);
  }

  copyBlocks(pairs: Int32Array): void {
    this.#checkUsable();
    for (let i = 0; i < pairs.length; i += 2) {
      for (const memory of this.#memories) memory.copyBlock(pairs[i]!, pairs[i + 1]!);
      this.#touch(pairs[i + 1]!);
    }
  }

  readBlock(block: number, into: Uint8Array): void {
    this.#checkBlockArguments(block, into);
    let at = 0;
    for (const { memory, plan } of this.#homes) {
      into.set(this.#memories[memory]!.block(plan, block), at);
      at += plan.block.bytes;
    }
  }

  writeBlock(block: number, from: Uint8Array): void {
    this.#checkBlockArguments(block, from);
    let at = 0;
    for (const { memory, plan } of this.#homes) {
      this.#memories[memory]!.block(plan, block).set(from.subarray(at, at + plan.block.bytes));
      at += plan.block.bytes;
    }
    this.#touch(block);
  }

  memory(): { readonly reservedBytes: number; readonly committedBytes: number } {
    const reservedBytes = this.blockBytes * this.#config.limits.numBlocks;
    return { reservedBytes, committedBytes: this.#touchedBlocks * this.blockBytes };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#pool?.dispose();
  }

  #touch(block: number): void {
    if (this.#touched[block] !== 0) return;
    this.#touched[block] = 1;
    this.#touchedBlocks++;
  }

  #checkUsable(): void {
    if (this.#disposed) throw new DisposedError("attention: the kernel was disposed");
  }

  #checkBlockArguments(block: number, bytes: Uint8Array): void {
    this.#checkUsable();
    const { numBlocks } = this.#config.limits;
    if (!(block >= 0 && block < numBlocks)) throw new InvalidOptionsError(`attention: block ${block}; blocks are 0 to ${numBlocks - 1}`);
    if (bytes.length !== this.blockBytes) {
      throw new InvalidOptionsError(`attention: ${bytes.length} bytes for a block; it has ${this.blockBytes}`);
    }
  }
}

function homeOf(config: CpuAttentionConfig, memory: KernelMemory, index: number, plan: LayerPlan): LayerHome {
  const layer = config.layers[plan.index]!;
  return {
    memory: index,
    plan,
    qkv: memory.rows(plan.qkv, qkvWidth(layer)),
    output: memory.rows(plan.output, layer.numHeads * layer.vHeadDim),
  };
}
