/** Strict mode rests on this: a row's bits do not depend on how many rows are computed with it. */
import type { WeightScheme } from "@weir/core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareModel } from "../prepare-model.js";
import { rtnQuantizer } from "../testing/rtn-quantizer.js";
import { SegmentModel } from "../testing/segment-model.js";
import { gaussian, memorySource, tinySpec, tinyWeights } from "../testing/tiny-model.js";
import { paddedRows } from "./padded-rows.js";
import { SegmentRuntime } from "./segment-runtime.js";

const ROW_COUNTS = [...Array.from({ length: 33 }, (_, i) => i + 1), 64, 100, 128];
// Wide enough for the kernels' blocking to matter, and not a multiple of it.
const SPEC = tinySpec({ hidden: 384, intermediate: 640, headDim: 96 });
const WEIGHTS = tinyWeights(SPEC);

let folder: string;
let runtime: SegmentRuntime;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-rows-"));
  runtime = new SegmentRuntime({ threads: 2 });
});
afterAll(() => {
  runtime.dispose();
  rmSync(folder, { recursive: true });
});

describe("bits of a row", () => {
  for (const scheme of ["f32", "int8", "int4-g32", "int4-g64", "int4-g128"] as const) {
    it(`are the same in any number of rows: ${scheme}${scheme.startsWith("int4") ? ", padded to even" : ""}`, async () => {
      const first = await rowsByCount(scheme, (rows) => paddedRows(scheme, rows));
      for (const [count, rows] of first) {
        rows.forEach((row, i) => expect([count, i, row]).toEqual([count, i, first.get(128)![i]]));
      }
    });
  }

  it("would differ for int4-g128 without padding: the test has power", async () => {
    const rows = await rowsByCount("int4-g128", (count) => count);
    const differing = ROW_COUNTS.filter((count) => rows.get(count)!.some((row, i) => row !== rows.get(128)![i]));
    expect(differing).toContain(1);
    expect(differing.every((count) => count % 2 === 1)).toBe(true);
  });
});

/** Every row of the middle segment's and the last segment's output as text, by number of rows. */
async function rowsByCount(scheme: WeightScheme, computed: (rows: number) => number): Promise<Map<number, string[]>> {
  const quantizer = scheme === "f32" ? {} : { quantizer: rtnQuantizer(scheme) };
  const { segments } = await prepareModel(SPEC, memorySource(WEIGHTS), { ...quantizer, cacheFolders: [folder] });
  const model = new SegmentModel(runtime, SPEC, segments);
  const random = gaussian(3);
  const inputs = [model.attention, model.residual].map((array) => array.map(() => random()));
  model.rows.forEach((_, i) => (model.rows[i] = i));
  const found = new Map<number, string[]>();
  for (const count of ROW_COUNTS) {
    const outputs = [1, 2].map((segment) => {
      model.attention.set(inputs[0]!);
      model.residual.set(inputs[1]!);
      model.sessions[segment]!.run(computed(count));
      return (segment === 1 ? model.qkv : model.logits).slice();
    });
    const [qkvWidth, vocab] = [outputs[0]!.length / 256, outputs[1]!.length / 256];
    const text = (array: Float32Array, width: number, row: number): string =>
      Buffer.from(array.buffer, row * width * 4, width * 4).toString("base64");
    found.set(
      count,
      Array.from({ length: count }, (_, row) => text(outputs[0]!, qkvWidth, row) + text(outputs[1]!, vocab, row)),
    );
  }
  model.dispose();
  return found;
}
