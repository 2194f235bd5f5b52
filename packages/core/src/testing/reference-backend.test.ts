import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Backend, type ModelInput, type ModelOutput, ROW_LOGITS } from "../contracts/index.js";
import { nullBackend } from "./null-backend.js";
import { openModelFolder } from "../node/model-folder.js";
import { openRandomModel } from "../weights/random-model.js";
import { type BackendFixture, describeBackend, type ExpectedCase } from "./describe-backend.js";
import { referenceBackend } from "./reference-backend.js";

await describeBackend({
  name: "reference",
  createBackend: referenceBackend,
  fixtures: ["llama", "llama3_rope", "llama_yarn"].map((name) => fixture(name, `../../../../fixtures/models/${name}`)),
});

await describeBackend({
  name: "reference",
  createBackend: referenceBackend,
  fixtures: [fixture("tiny-shakespeare", "../../../cli/model/tiny-shakespeare")],
});

const { open, cases } = fixture("llama", "../../../../fixtures/models/llama");
await describeBackend({
  name: "null",
  createBackend: () => nullBackend(),
  fixtures: [{ name: "made-up tokens", open, cases: cases.map(({ prompt_ids }) => ({ prompt_ids })) }],
  skip: [
    { test: "reports a row of NaN as such and leaves the other rows alone", reason: "its cache holds token ids, no floats" },
    { test: "samples the same tokens for the same seed, in any row of any batch", reason: "it ignores sampling parameters" },
  ],
});

await describeBackend({
  name: "reference that leaves sampling to its caller",
  createBackend: unsampledBackend,
  fixtures: [fixture("llama", "../../../../fixtures/models/llama")],
});

describe("referenceBackend", () => {
  it("refuses options it cannot serve before reading weights", async () => {
    const { spec, weights } = await openRandomModel("random:llama-1.1b");
    const limits = { maxModelLen: 64, maxNumSeqs: 1, maxNumBatchedTokens: 64, blockSize: 16, numBlocks: 4 };
    const options = { limits, kvDtype: "f32", weightScheme: "f32" } as const;
    const load = (change: object): Promise<unknown> => referenceBackend().loadModel(spec, weights, { ...options, ...change });
    await expect(load({ kvDtype: "int8" })).rejects.toThrow(/kvDtype is int8/);
    await expect(load({ weightScheme: "int8" })).rejects.toThrow(/needs the quantizer option/);
    await expect(load({ limits: { ...limits, blockSize: 7 } })).rejects.toThrow(/blockSize is 7/);
    await expect(load({ limits: { ...limits, maxModelLen: 5000 } })).rejects.toThrow(/4096 positions/);
    await expect(load({ signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
  });
});

function fixture(name: string, path: string): BackendFixture {
  const url = new URL(`${path}/`, import.meta.url);
  const { cases } = JSON.parse(readFileSync(new URL("expected.json", url), "utf8")) as { cases: ExpectedCase[] };
  return { name, open: () => openModelFolder(fileURLToPath(url)), cases };
}

/** `capabilities.sampling` is false: a row may ask for logits and for nothing else. */
function unsampledBackend(): Backend {
  const backend = referenceBackend();
  const loadModel: Backend["loadModel"] = async (...args) => {
    const runner = await backend.loadModel(...args);
    const execute = runner.execute.bind(runner);
    const unsampled = async (input: ModelInput): Promise<ModelOutput> => {
      if (input.rowWants.subarray(0, input.numRows).some((wants) => wants !== ROW_LOGITS)) throw new Error("it was asked to sample");
      return execute(input);
    };
    return Object.assign(runner, { execute: unsampled });
  };
  return {
    name: backend.name,
    apiVersion: backend.apiVersion,
    capabilities: { ...backend.capabilities, sampling: false },
    loadModel,
    dispose: () => backend.dispose(),
  };
}
