/** Weights that hold NaN: the requests that touch them fail by name, the others do not notice. */
import { describe, expect, it } from "vitest";
import { nanRows, openAltered } from "./testing-support/altered-weights.js";
import { assertIdle, cpuEngine, greedyIds } from "./testing-support/cpu-test-engine.js";
import { fixtureFolder } from "./testing-support/test-models.js";

/** Untied, so that a broken embedding is not also a broken head. */
const FOLDER = fixtureFolder("llama3_rope");
const HIDDEN_BYTES = 64 * 4;
const BAD_TOKEN = 77;
const GOOD = [3, 1, 4, 1, 5, 9, 2, 6];
const BAD = [...GOOD, BAD_TOKEN, ...GOOD];
/** Blocks for two requests, so that one's are soon the other's. */
const SMALL = { maxModelLen: 32, numBlocks: 4, maxNumSeqs: 4 } as const;

describe.each(["f32", "int8", "int4-g32"] as const)("an embedding row of NaN, %s weights", (quantize) => {
  it.each(["f32", "int8"] as const)(
    "fails the request that uses it with nonfinite_logits and spoils no block for others, %s KV",
    async (kvDtype) => {
      const model = await openAltered(FOLDER, nanRows("model.embed_tokens.weight", [BAD_TOKEN], HIDDEN_BYTES));
      const engine = await cpuEngine({ model, quantize, kvDtype, ...SMALL });
      const solo = await greedyIds(engine, GOOD, 10);
      for (let i = 0; i < 4; i++) {
        const beside = greedyIds(engine, GOOD, 10);
        await expect(greedyIds(engine, BAD, 10)).rejects.toMatchObject({ code: "nonfinite_logits" });
        expect(await beside).toEqual(solo);
      }
      await engine.drain();
      expect(engine.stats()).toMatchObject({ nonfiniteRows: 4, requests: { failed: 4 } });
      assertIdle(engine);
      await engine.dispose();
      await model.weights.close();
    },
  );
});

describe("weights of NaN that every token meets", () => {
  it.each([
    ["f32", ["model.norm.weight", "model.layers.1.mlp.down_proj.weight", "lm_head.weight"]],
    ["int8", ["model.norm.weight"]],
    ["int4-g32", ["model.norm.weight"]],
  ] as const)("fail every request with nonfinite_logits, never with silent tokens, %s weights", async (quantize, tensors) => {
    for (const tensor of tensors) {
      const model = await openAltered(FOLDER, nanRows(tensor, [0], HIDDEN_BYTES));
      const engine = await cpuEngine({ model, quantize, ...SMALL });
      await expect(greedyIds(engine, GOOD, 10), tensor).rejects.toMatchObject({ code: "nonfinite_logits" });
      await engine.drain();
      assertIdle(engine);
      await engine.dispose();
      await model.weights.close();
    }
  });

  it.each(["int8", "int4-g32"] as const)("cannot be quantized: the load fails and names the tensor, %s weights", async (quantize) => {
    const tensor = "model.layers.1.mlp.down_proj.weight";
    const model = await openAltered(FOLDER, nanRows(tensor, [0], HIDDEN_BYTES));
    const loading = cpuEngine({ model, quantize, ...SMALL });
    await expect(loading).rejects.toMatchObject({ code: "model_load", message: expect.stringContaining(tensor) });
    await model.weights.close();
  });
});
