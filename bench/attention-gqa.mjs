/**
 * The peer of bench/attention.mjs: ONNX Runtime's GroupQueryAttention, timed by attention-gqa.py in a Python of its own.
 * Another way to run the operator (the C API of packages/ort) only has to give an AttentionPeer.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/**
 * One shape of a step; sequences are alike.
 * @typedef {object} AttentionCase
 * @property {number} seqs
 * @property {number} past tokens cached before the step, per sequence
 * @property {number} newTokens
 * @property {number} layers distinct layers run one after the other, so that caches are cold
 * @property {number} numHeads
 * @property {number} numKvHeads
 * @property {number} headDim
 * @property {"f32" | "int8"} kvDtype
 * @property {number} threads
 */

/**
 * @typedef {object} AttentionPeer
 * @property {string} name
 * @property {(shape: AttentionCase) => Promise<void>} prepare
 * @property {() => Promise<number>} measure milliseconds per layer of one pass over all layers of the prepared case
 * @property {() => Promise<void>} dispose
 */

/**
 * @param {string} python an interpreter that has onnxruntime and onnx
 * @returns {AttentionPeer}
 */
export function gqaPeer(python) {
  const script = fileURLToPath(new URL("./attention-gqa.py", import.meta.url));
  const child = spawn(python, [script], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await answers.next();
    if (done === true) throw new Error(`${python} attention-gqa.py ended; does it have onnxruntime and onnx?`);
    return JSON.parse(value);
  };
  return {
    name: "ORT GroupQueryAttention",
    async prepare(shape) {
      await ask(shape);
    },
    async measure() {
      return (await ask({ measure: true })).ms;
    },
    async dispose() {
      child.stdin.end();
      await new Promise((resolve) => child.once("close", resolve));
    },
  };
}
