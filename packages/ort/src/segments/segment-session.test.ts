import { InternalError, ModelLoadError } from "@weir/core";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Segment } from "../lowering/segment.js";
import { prepareModel } from "../prepare-model.js";
import { SegmentModel } from "../testing/segment-model.js";
import { rtnQuantizer } from "../testing/rtn-quantizer.js";
import { memorySource, tinySpec, tinyWeights } from "../testing/tiny-model.js";
import { SegmentRuntime } from "./segment-runtime.js";
import { SegmentSession } from "./segment-session.js";

const SPEC = tinySpec();

let folder: string;
let segments: readonly Segment[];
let runtime: SegmentRuntime;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-segments-"));
  segments = (await prepareModel(SPEC, memorySource(tinyWeights(SPEC)), { quantizer: rtnQuantizer("int8"), cacheFolders: [folder] }))
    .segments;
  runtime = new SegmentRuntime();
});
afterAll(() => {
  runtime.dispose();
  rmSync(folder, { recursive: true });
});
afterEach(() => expect(runtime.library.handles.live("session")).toBe(0));

describe("SegmentSession", () => {
  it("says what its buffers are", () => {
    const text = ({ inputs, outputs }: Segment): string[] =>
      [...inputs, ...outputs].map((io) => `${io.name} ${io.type}[${io.rows},${io.width}]`);
    expect(segments.map(text)).toEqual([
      ["input_ids i32[T,0]", "qkv f32[T,128]", "residual_out f32[T,64]"],
      ["attention f32[T,64]", "residual_in f32[T,64]", "qkv f32[T,128]", "residual_out f32[T,64]"],
      ["attention f32[T,64]", "residual_in f32[T,64]", "row_indices i32[R,0]", "logits f32[R,96]"],
    ]);
  });

  it("refuses to run unbound, and buffers that are missing, of another type or too small", () => {
    const session = new SegmentSession(runtime, segments[0]!);
    const qkv = new Float32Array(128 * 2);
    expect(() => session.run(1)).toThrow(InternalError);
    expect(() => session.bind({ qkv })).toThrow(/segment.0 needs a buffer of i32 for input_ids/);
    expect(() => session.bind({ input_ids: new Float32Array(2), qkv })).toThrow(InternalError);
    session.bind({ input_ids: new Int32Array(2), residual_out: new Float32Array(128), qkv });
    expect(() => session.run(3)).toThrow(/does not fit/);
    session.run(2);
    expect(qkv.some((value) => value !== 0)).toBe(true);
    session.dispose();
  });

  it("gives the same off the calling thread, and when more row counts are used than are kept", async () => {
    const model = new SegmentModel(runtime, SPEC, segments);
    const ids = Array.from({ length: 150 }, (_, i) => (i * 7) % 96);
    model.ids.set(ids);
    const [first] = model.sessions;
    first!.run(150);
    const wanted = model.qkv.slice(0, 150 * 128);
    for (let rows = 1; rows <= 150; rows++) {
      model.qkv.fill(0);
      if (rows % 10 === 0) await first!.runAsync(rows);
      else first!.run(rows);
      expect(Buffer.compare(Buffer.from(model.qkv.buffer, 0, rows * 512), Buffer.from(wanted.buffer, 0, rows * 512))).toBe(0);
    }
    expect(runtime.library.handles.live("value")).toBeLessThan(64 * 3 + 3);
    model.dispose();
  });

  it("writes a per-operator profile whose entries name the layers", () => {
    const session = new SegmentSession(runtime, segments[1]!, { profilePrefix: join(folder, "profile") });
    const shared = (width: number): Float32Array => new Float32Array(new SharedArrayBuffer(width * 4));
    session.bind({ attention: shared(64), residual_in: shared(64), residual_out: shared(64), qkv: shared(128) });
    session.run(1);
    const path = session.endProfiling();
    session.dispose();
    const events = JSON.parse(readFileSync(path, "utf8")) as { name: string; cat: string }[];
    const names = events.filter((event) => event.cat === "Node").map((event) => event.name.replace("_kernel_time", ""));
    expect(names).toEqual(expect.arrayContaining(["layers.0.o", "layers.0.up.0", "layers.0.up.1", "layers.0.down", "layers.1.qkv"]));
  });

  it("is a ModelLoadError when its weights' file was cut short since it was prepared", async () => {
    const cut = join(folder, "cut");
    const prepared = await prepareModel(SPEC, memorySource(tinyWeights(SPEC)), { quantizer: rtnQuantizer("int8"), cacheFolders: [cut] });
    truncateSync(join(cut, readdirSync(cut)[0]!), 5000);
    expect(() => new SegmentSession(runtime, prepared.segments[1]!)).toThrow(ModelLoadError);
  });
});

describe("SegmentRuntime", () => {
  it("brings threads of each session's own when asked to", () => {
    const own = new SegmentRuntime({ pool: "session", threads: 2, spinning: 50 });
    expect(own.pool).toBe("session");
    new SegmentSession(own, segments[0]!).dispose();
    own.dispose();
  });
});
