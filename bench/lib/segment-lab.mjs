/**
 * The dense segments of a shape outside of an engine, with attention's output made up: what `operator-worker.mjs` runs.
 * In: shape, scheme, rows. Out: runs and the profiles that ONNX Runtime writes of them. Same threads and spinning as
 * in the CPU backend. The made-up output is as dense as a real one: no zeros, no tiny numbers.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { openModelFolder } from "@weir/core/node";
import { prepareModel, SegmentRuntime, SegmentSession } from "@weir/ort";
import { defaultQuantizer } from "@weir/quant";

/** As SegmentChain of the CPU backend. */
const SPIN_MICROSECONDS = 100;
const MAX_ROWS = 16;

export class SegmentLab {
  /** @type {SegmentRuntime} */
  #runtime;
  /** @type {SegmentSession[]} */
  #sessions;
  /** @type {string} */
  #folder;

  /** @param {string} model @param {import("@weir/core").WeightScheme} scheme @param {number} maxTokens */
  static async open(model, scheme, maxTokens) {
    const { spec, weights } = await openModelFolder(`random:${model}`);
    const prepared = await prepareModel(spec, weights, { quantizer: defaultQuantizer(scheme) });
    await weights.close();
    return new SegmentLab(prepared.segments, maxTokens);
  }

  /** @param {readonly import("@weir/ort").Segment[]} segments @param {number} maxTokens */
  constructor(segments, maxTokens) {
    this.#folder = mkdtempSync(join(tmpdir(), "weir-profile-"));
    this.#runtime = new SegmentRuntime({ threads: availableParallelism(), pool: "session", spinning: SPIN_MICROSECONDS });
    this.#sessions = segments.map(
      (segment) => new SegmentSession(this.#runtime, segment, { profilePrefix: join(this.#folder, segment.name) }),
    );
    this.#bind(maxTokens);
  }

  /** One step's dense work. @param {number} numTokens @returns milliseconds */
  run(numTokens) {
    const start = performance.now();
    for (const session of this.#sessions) session.run(numTokens, rowsOf(numTokens));
    return performance.now() - start;
  }

  /** Ends all profiles. @returns their events, per segment; nothing can be run afterwards */
  finish() {
    const profiles = this.#sessions.map((session) => JSON.parse(readFileSync(session.endProfiling(), "utf8")));
    for (const session of this.#sessions) session.dispose();
    this.#runtime.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
    return profiles;
  }

  /** @param {number} maxTokens */
  #bind(maxTokens) {
    const floats = (/** @type {number} */ rows, /** @type {number} */ width) => new Float32Array(new SharedArrayBuffer(rows * width * 4));
    const ids = new Int32Array(new SharedArrayBuffer(maxTokens * 4));
    for (let i = 0; i < maxTokens; i++) ids[i] = i;
    const width = (/** @type {string} */ name) =>
      Math.max(
        0,
        ...this.#sessions.flatMap(({ segment }) => [...segment.inputs, ...segment.outputs]).map((io) => (io.name === name ? io.width : 0)),
      );
    const residual = floats(maxTokens, width("residual_in"));
    const attention = floats(maxTokens, width("attention"));
    for (let i = 0; i < attention.length; i++) attention[i] = Math.sin(i * 12.9898) * 0.5;
    const buffers = {
      input_ids: ids,
      row_indices: ids,
      residual_in: residual,
      residual_out: residual,
      attention,
      qkv: floats(maxTokens, width("qkv")),
      logits: floats(MAX_ROWS, width("logits")),
    };
    for (const session of this.#sessions) session.bind(buffers);
  }
}

/** Rows of logits: a step of decodes has as many as tokens, a prefill chunk few. @param {number} numTokens */
function rowsOf(numTokens) {
  return Math.min(numTokens, MAX_ROWS);
}

/**
 * Additions and multiplications of the matrix products of one step.
 * @param {import("@weir/core").ModelSpec} spec @param {number} numTokens
 */
export function productOperations({ layers, head }, numTokens) {
  const size = (/** @type {import("@weir/core").LinearSpec | undefined} */ linear) => (linear ? linear.inFeatures * linear.outFeatures : 0);
  const terms = layers.map(({ attention: { q, k, v, o }, mlp }, index) => {
    // After the last attention only rows with logits go on.
    const after = index === layers.length - 1 ? rowsOf(numTokens) : numTokens;
    return numTokens * (size(q) + size(k) + size(v)) + after * (size(o) + size(mlp.gate) + size(mlp.up) + size(mlp.down));
  });
  return 2 * terms.reduce((sum, term) => sum + term, rowsOf(numTokens) * size(head.linear));
}
