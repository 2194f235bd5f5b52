/**
 * Graphs that move whole KV blocks on the device, all layers at once: zero, copy, read, write. In: the cache's tensors.
 * Out: ONNX models whose outputs are bound to the cache itself. ONNX Runtime's own copy moves whole tensors, and on
 * WebGPU a tensor cannot begin inside another one's buffer.
 */
import { GraphBuilder, type CacheTensor } from "@weir/ort";

export type BlockGraph = "zero" | "copy" | "read" | "write";

/** Bits of f16 of one block over all layers. */
export function blockElements(caches: readonly CacheTensor[]): number {
  return caches.reduce((sum, cache) => sum + elementsPerBlock(cache), 0);
}

export function blockGraph(kind: BlockGraph, caches: readonly CacheTensor[]): Uint8Array {
  const graph = new GraphBuilder(`${kind} blocks`);
  BUILD[kind](graph, caches);
  return graph.build();
}

/** The graph output that is bound to a cache's own memory. */
export function cacheOutput({ name }: CacheTensor): string {
  return `${name}.out`;
}

type Build = (graph: GraphBuilder, caches: readonly CacheTensor[]) => void;

const BUILD: Readonly<Record<BlockGraph, Build>> = {
  /** zero [1] -> caches. An input, since a constant would be folded to the size of the cache. */
  zero(graph, caches) {
    const zero = graph.input("zero", "f16", [1]);
    for (const cache of caches) give(graph, cache, graph.node("Expand", [zero, integers(graph, cache.shape)]));
  },
  /** from [n] i64, to [n, 1] i64 -> caches. All blocks are read before one is written. */
  copy(graph, caches) {
    const from = graph.input("from", "i64", ["n"]);
    const to = graph.input("to", "i64", ["n", 1]);
    for (const cache of caches) {
      const name = take(graph, cache);
      give(graph, cache, graph.node("ScatterND", [name, to, graph.node("Gather", [name, from])]));
    }
  },
  /** from [n] i64 -> blocks [n, blockElements], a block's tensors one after another */
  read(graph, caches) {
    const from = graph.input("from", "i64", ["n"]);
    const rows = caches.map((cache) => {
      const blocks = graph.node("Gather", [take(graph, cache), from]);
      return graph.node("Reshape", [blocks, integers(graph, [-1, elementsPerBlock(cache)])]);
    });
    graph.node("Concat", rows, { attributes: { axis: 1 }, outputs: ["blocks"] });
    graph.output("blocks", "f16", ["n", blockElements(caches)]);
  },
  /** blocks [n, blockElements], to [n, 1] i64 -> caches */
  write(graph, caches) {
    const to = graph.input("to", "i64", ["n", 1]);
    const blocks = graph.input("blocks", "f16", ["n", blockElements(caches)]);
    const axis = integers(graph, [1]);
    let start = 0;
    for (const cache of caches) {
      // Not one Split: a WebGPU shader binds too few buffers for the parts of many layers.
      const end = start + elementsPerBlock(cache);
      const part = graph.node("Slice", [blocks, integers(graph, [start]), integers(graph, [end]), axis]);
      const values = graph.node("Reshape", [part, integers(graph, [-1, ...cache.shape.slice(1)])]);
      give(graph, cache, graph.node("ScatterND", [take(graph, cache), to, values]));
      start = end;
    }
  },
};

function take(graph: GraphBuilder, { name, shape }: CacheTensor): string {
  return graph.input(name, "f16", shape);
}

function give(graph: GraphBuilder, cache: CacheTensor, value: string): void {
  graph.output(cacheOutput(cache), "f16", cache.shape, value);
}

function integers(graph: GraphBuilder, values: readonly number[]): string {
  return graph.constant(`i64(${values.join()})`, "i64", [values.length], BigInt64Array.from(values, BigInt));
}

function elementsPerBlock({ shape }: CacheTensor): number {
  return shape.slice(1).reduce((product, size) => product * size, 1);
}
