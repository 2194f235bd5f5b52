/** The runner over a graph that runs nothing: order, rows, faults. */
import {
  createModelInput,
  InternalError,
  ROW_LOGITS,
  ROW_NONFINITE,
  ROW_OK,
  ROW_SAMPLE,
  type ModelInput,
  type ModelSpec,
} from "@weir/core";
import { describe, expect, it } from "vitest";
import { addRow, addSequence, prefillInput } from "../testing-support/prefill-input.js";
import { GraphRunner } from "./graph-runner.js";
import type { StepArrays } from "./step-arrays.js";
import type { StepGraph } from "./step-graph.js";

const VOCAB = 8;
const SPEC = { vocabSize: VOCAB } as ModelSpec;
const LIMITS = { maxModelLen: 96, maxNumSeqs: 4, maxNumBatchedTokens: 128, blockSize: 16, numBlocks: 64 };

describe("a step", () => {
  it("gives rows in the step's order, whatever run computes them", async () => {
    for (const mostNewTokens of [Number.MAX_SAFE_INTEGER, 31]) {
      const { runner, graph } = await makeRunner({ mostNewTokens });
      const input = createModelInput(LIMITS);
      addSequence(input, LIMITS, Array(70).fill(3), 0, 10);
      addSequence(input, LIMITS, [5], 20, 20);
      addSequence(input, LIMITS, Array(40).fill(6), 0, 30);
      [69, 70, 110].forEach((token) => addRow(input, token));
      const output = await runner.execute(input);
      expect(graph.runs).toBe(mostNewTokens === 31 ? 3 : 1);
      expect([...output.logitsRow.subarray(0, 3)]).toEqual([0, 1, 2]);
      // The graph's row is hot at the row's last token.
      const rows = [0, 1, 2].map((row) => [...output.logits.subarray(row * VOCAB, (row + 1) * VOCAB)].indexOf(1));
      expect(rows).toEqual([3, 5, 6]);
    }
  });

  it("samples the rows that ask for it, and says which are not finite", async () => {
    const { runner, graph } = await makeRunner();
    graph.nanAt = 2;
    const input = createModelInput(LIMITS);
    for (const id of [4, 2, 2]) addSequence(input, LIMITS, [id], 3, 10);
    [0, 1, 2].forEach((token) => addRow(input, token));
    input.rowWants.set([ROW_SAMPLE, ROW_SAMPLE, ROW_LOGITS]);
    input.sampling.numLogprobs.fill(-1);
    input.sampling.topP.fill(1);
    input.sampling.repetitionPenalty.fill(1);
    const output = await runner.execute(input);
    expect([...output.status.subarray(0, 3)]).toEqual([ROW_OK, ROW_NONFINITE, ROW_NONFINITE]);
    expect([output.numRows, output.tokenIds[0]]).toEqual([3, 4]);
    expect([...output.logitsRow.subarray(0, 3)]).toEqual([-1, -1, 2]);
  });
});

describe("calls", () => {
  it("happen one at a time, in order, and dispose comes after them", async () => {
    const { runner, graph } = await makeRunner();
    const step = runner.execute(step1());
    const copy = runner.copyBlocks(Int32Array.of(0, 1));
    const disposed = runner.dispose();
    await Promise.all([step, copy, disposed, runner.dispose()]);
    expect(graph.log).toEqual(["run", "run-end", "copy", "dispose"]);
    await expect(runner.execute(step1())).rejects.toMatchObject({ code: "disposed" });
  });

  it("with blocks outside of the pool, or a buffer of another size, are refused and cost nothing", async () => {
    const { runner, graph } = await makeRunner();
    await expect(runner.copyBlocks(Int32Array.of(0, 64))).rejects.toThrow(/block 64 is outside of the pool of 64/);
    await expect(runner.readBlocks(Int32Array.of(-1), new Uint8Array(16))).rejects.toThrow(/block -1/);
    await expect(runner.writeBlocks(Int32Array.of(1), new Uint8Array(15))).rejects.toThrow(/1 blocks take 16 bytes; the buffer has 15/);
    expect(graph.log).toEqual([]);
  });
});

describe("a device's fault", () => {
  it("ends the step with EngineRestartedError; recovery opens the graph anew", async () => {
    const { runner, graph, opened } = await makeRunner();
    graph.fault = new InternalError("run: CUDA failure 2: out of memory");
    await expect(runner.execute(step1())).rejects.toMatchObject({
      code: "engine_restarted",
      message: expect.stringMatching(/out of memory/),
    });
    await runner.recover();
    expect(graph.log.at(-1)).toBe("dispose");
    expect((await runner.execute(step1())).numRows).toBe(1);
    expect(opened()).toBe(2);
  });

  it("that stays lets recovery fail with its reason, and steps after it with EngineRestartedError", async () => {
    const { runner, failOpening } = await makeRunner();
    failOpening(new InternalError("CUDA error: an illegal memory access was encountered"));
    await expect(runner.recover()).rejects.toThrow(/illegal memory access/);
    await expect(runner.execute(step1())).rejects.toMatchObject({ code: "engine_restarted" });
    await runner.dispose();
  });

  it("is told from a fault of ours", async () => {
    const { runner, graph } = await makeRunner();
    graph.fault = new TypeError("x is not a function");
    await expect(runner.execute(step1())).rejects.toThrow(TypeError);
  });
});

class FakeGraph implements StepGraph {
  readonly logits = new Float32Array(LIMITS.maxNumSeqs * VOCAB);
  readonly log: string[] = [];
  runs = 0;
  nanAt = -1;
  fault: Error | undefined;
  readonly kv: StepGraph["kv"] = {
    blockBytes: 16,
    reservedBytes: 1024,
    copyBlocks: async () => void this.log.push("copy"),
    readBlocks: async () => void this.log.push("read"),
    writeBlocks: async () => void this.log.push("write"),
  };

  async run(arrays: StepArrays): Promise<void> {
    this.log.push("run");
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fault) throw this.fault;
    this.runs++;
    this.logits.fill(0);
    for (let row = 0; row < arrays.numRows; row++) {
      const id = arrays.inputIds[arrays.rowIndices[row]!]!;
      this.logits[row * VOCAB + id] = id === this.nanAt ? NaN : 1;
    }
    this.log.push("run-end");
  }

  dispose(): void {
    this.log.push("dispose");
  }
}

async function makeRunner({ mostNewTokens = Number.MAX_SAFE_INTEGER }: { readonly mostNewTokens?: number } = {}) {
  const graph = new FakeGraph();
  let count = 0;
  let failure: Error | undefined;
  const openGraph = async (): Promise<StepGraph> => {
    if (failure) throw failure;
    return count++ === 0 ? graph : new FakeGraph();
  };
  const runner = await GraphRunner.load({ spec: SPEC, limits: LIMITS, weightBytes: 0, openGraph, mostNewTokens, onDispose: () => {} });
  return { runner, graph, opened: () => count, failOpening: (error: Error) => void (failure = error) };
}

function step1(): ModelInput {
  return prefillInput(LIMITS, [1, 2, 3]);
}
