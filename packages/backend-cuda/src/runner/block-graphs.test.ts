/** The graphs that move blocks, on ONNX Runtime's CPU kernels: the same graphs run on the device. */
import { CpuMemoryInfo, loadOrtLibrary, OrtEnv, OrtValue, RunCall, Session, type CacheTensor } from "@weir/ort";
import { afterAll, describe, expect, it } from "vitest";
import { blockElements, blockGraph, cacheOutput, type BlockGraph } from "./block-graphs.js";

const CACHES: readonly CacheTensor[] = [
  { name: "key_cache.0", shape: [5, 2, 2, 3] },
  { name: "value_cache.0", shape: [5, 2, 2, 4] },
];
const library = loadOrtLibrary();
const env = new OrtEnv(library);
const memory = new CpuMemoryInfo(library);
afterAll(() => {
  memory.dispose();
  env.dispose();
  expect(library.handles.live()).toBe(0);
});

describe("block graphs", () => {
  it("zero the cache", () => {
    const caches = filledCaches();
    run("zero", caches, { zero: [new Uint16Array(new ArrayBuffer(4096), 0, 1), [1]] });
    expect(caches.every((cache) => cache.every((bits) => bits === 0))).toBe(true);
  });

  it("copy blocks in place, all layers, and touch no others", () => {
    const caches = filledCaches();
    const before = caches.map((cache) => blocksOf(cache));
    run("copy", caches, { from: [longs(4, 0), [2]], to: [longs(1, 2), [2, 1]] });
    const [a, b] = before.map((blocks) => [blocks[0], blocks[4], blocks[0], blocks[3], blocks[4]]);
    expect(caches.map((cache) => blocksOf(cache))).toEqual([a, b]);
  });

  it("read blocks one after another, each with its keys and values, and write them back elsewhere", () => {
    const caches = filledCaches();
    const before = caches.map((cache) => blocksOf(cache));
    const width = blockElements(CACHES);
    expect(width).toBe(2 * 2 * (3 + 4));
    const blocks = new Uint16Array(new ArrayBuffer(4096), 0, 2 * width);
    run("read", caches, { from: [longs(3, 1), [2]] }, { blocks: [blocks, [2, width]] });
    expect([...blocks.subarray(0, width)]).toEqual([...before[0]![3]!, ...before[1]![3]!]);
    expect([...blocks.subarray(width)]).toEqual([...before[0]![1]!, ...before[1]![1]!]);
    run("write", caches, { blocks: [blocks, [2, width]], to: [longs(0, 4), [2, 1]] });
    for (const [i, cache] of caches.entries()) {
      const [, one, two, three] = before[i]!;
      expect(blocksOf(cache)).toEqual([three, one, two, three, one]);
    }
  });
});

type Bound = Readonly<Record<string, readonly [Uint16Array | BigInt64Array, readonly number[]]>>;

function run(kind: BlockGraph, caches: readonly Uint16Array[], inputs: Bound, outputs: Bound = {}): void {
  using session = new Session(env, blockGraph(kind, CACHES));
  const call = new RunCall(session);
  const values = (bound: Bound, set: (name: string, value: OrtValue) => void): OrtValue[] =>
    Object.entries(bound).map(([name, [array, shape]]) => {
      const value = new OrtValue(library, memory, array, shape);
      set(name, value);
      return value;
    });
  const held = [
    ...values(inputs, (name, value) => call.setInput(name, value)),
    ...values(outputs, (name, value) => call.setOutput(name, value)),
  ];
  CACHES.forEach((cache, i) => {
    const value = new OrtValue(library, memory, caches[i]!, cache.shape);
    if (kind !== "zero") call.setInput(cache.name, value);
    if (kind !== "read") call.setOutput(cacheOutput(cache), value);
    held.push(value);
  });
  call.run();
  held.forEach((value) => value.dispose());
}

/** Every element another finite f16. */
function filledCaches(): Uint16Array[] {
  return CACHES.map(({ shape }, i) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return new Uint16Array(new ArrayBuffer(4096), 0, length).map((_, at) => 0x3c00 + 100 * i + at);
  });
}

function blocksOf(cache: Uint16Array): number[][] {
  const size = cache.length / 5;
  return [0, 1, 2, 3, 4].map((block) => [...cache.subarray(block * size, (block + 1) * size)]);
}

function longs(...values: number[]): BigInt64Array {
  const array = new BigInt64Array(new ArrayBuffer(4096), 0, values.length);
  values.forEach((value, i) => (array[i] = BigInt(value)));
  return array;
}
