/**
 * KvCache: the paged cache on the device, and moves of whole blocks. In: the graph's cache tensors. Out: handles to bind
 * to the model's inputs; copies, reads and writes by block id. Runs happen off the event loop, one at a time: the
 * caller sees to that.
 */
import { RunCall, type CacheTensor, type DeviceRuntime, type DeviceTensor } from "@weir/ort";
import { blockElements, blockGraph, cacheOutput, type BlockGraph } from "./block-graphs.js";
import { independentCopies } from "./independent-copies.js";

/** Blocks that travel to or from the host at a time: bounds the temporaries on the device. */
const BLOCKS_PER_RUN = 32;

export class KvCache {
  /** One per tensor of the graph, by its name. */
  readonly tensors: ReadonlyMap<string, DeviceTensor>;
  readonly blockBytes: number;
  readonly reservedBytes: number;
  readonly #runtime: DeviceRuntime;
  readonly #caches: readonly CacheTensor[];
  readonly #calls = new Map<BlockGraph, RunCall>();
  /** [BLOCKS_PER_RUN, blockElements] bits of f16 */
  readonly #blocks: Uint16Array;
  readonly #from = longs();
  readonly #to = longs();

  /** Allocates and zeroes: fresh device memory may hold NaN, which even a masked position would spread. */
  static async create(runtime: DeviceRuntime, caches: readonly CacheTensor[]): Promise<KvCache> {
    const cache = new KvCache(runtime, caches);
    await cache.#zero();
    return cache;
  }

  private constructor(runtime: DeviceRuntime, caches: readonly CacheTensor[]) {
    this.#runtime = runtime;
    this.#caches = caches;
    this.tensors = new Map(caches.map(({ name, shape }) => [name, runtime.allocate("f16", shape)]));
    this.blockBytes = blockElements(caches) * 2;
    this.reservedBytes = [...this.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#blocks = new Uint16Array(new ArrayBuffer(Math.max(4096, BLOCKS_PER_RUN * this.blockBytes)));
  }

  /** pairs = [src, dst, ...], in order. */
  async copyBlocks(pairs: Int32Array): Promise<void> {
    for (const [start, end] of independentCopies(pairs, BLOCKS_PER_RUN)) {
      for (let i = start; i < end; i++) {
        this.#from[i - start] = BigInt(pairs[2 * i]!);
        this.#to[i - start] = BigInt(pairs[2 * i + 1]!);
      }
      await this.#run("copy", end - start);
    }
  }

  /** Fills `into` [blockIds.length, blockBytes]. */
  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(this.#blocks.buffer);
    for (let start = 0; start < blockIds.length; start += BLOCKS_PER_RUN) {
      const count = setIds(this.#from, blockIds, start);
      await this.#run("read", count);
      into.set(bytes.subarray(0, count * this.blockBytes), start * this.blockBytes);
    }
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(this.#blocks.buffer);
    for (let start = 0; start < blockIds.length; start += BLOCKS_PER_RUN) {
      const count = setIds(this.#to, blockIds, start);
      bytes.set(from.subarray(start * this.blockBytes, (start + count) * this.blockBytes));
      await this.#run("write", count);
    }
  }

  async #zero(): Promise<void> {
    const call = await this.#call("zero");
    const zero = new Uint16Array(new ArrayBuffer(4096), 0, 1);
    call.setInput("zero", this.#runtime.tensors.get(zero, 1, 0));
    await call.runAsync();
  }

  async #run(kind: "copy" | "read" | "write", count: number): Promise<void> {
    const call = await this.#call(kind);
    const { tensors } = this.#runtime;
    if (kind !== "write") call.setInput("from", tensors.get(this.#from, count, 0));
    if (kind !== "read") call.setInput("to", tensors.get(this.#to, count, 1));
    const blocks = kind === "copy" ? undefined : tensors.get(this.#blocks, count, this.blockBytes / 2);
    if (kind === "read") call.setOutput("blocks", blocks!);
    if (kind === "write") call.setInput("blocks", blocks!);
    await call.runAsync();
  }

  /** Made on first use: most engines copy blocks, few read them. */
  async #call(kind: BlockGraph): Promise<RunCall> {
    const known = this.#calls.get(kind);
    if (known) return known;
    const session = await this.#runtime.openSession(blockGraph(kind, this.#caches));
    const call = new RunCall(session);
    for (const cache of this.#caches) {
      const tensor = this.tensors.get(cache.name)!;
      if (kind !== "zero") call.setInput(cache.name, tensor);
      if (kind !== "read") call.setOutput(cacheOutput(cache), tensor);
    }
    this.#calls.set(kind, call);
    return call;
  }
}

/** @returns how many ids from `start` on were set */
function setIds(ids: BigInt64Array, blockIds: Int32Array, start: number): number {
  const count = Math.min(BLOCKS_PER_RUN, blockIds.length - start);
  for (let i = 0; i < count; i++) ids[i] = BigInt(blockIds[start + i]!);
  return count;
}

function longs(): BigInt64Array {
  return new BigInt64Array(new ArrayBuffer(4096), 0, BLOCKS_PER_RUN);
}
