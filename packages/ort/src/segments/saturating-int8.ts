/**
 * Does this CPU's u8 x s8 matrix product saturate? Without VNNI-like instructions (x86 before Cascade Lake) pairs
 * of products are added in 16 bits. Node shows no CPU flags, so a tiny product that would overflow tells.
 */
import { loadOrtLibrary } from "../capi/library.js";
import { CpuMemoryInfo } from "../capi/memory-info.js";
import { OrtEnv } from "../capi/ort-env.js";
import { OrtValue } from "../capi/ort-value.js";
import { RunCall } from "../capi/run-call.js";
import { Session } from "../capi/session.js";
import { GraphBuilder } from "../graph/graph-builder.js";

const DEPTH = 64;
const COLUMNS = 16;

/** The CPU does not change: asked once per thread. @throws BackendUnavailableError */
export function detectSaturatingU8S8(): boolean {
  return (saturates ??= probe());
}

let saturates: boolean | undefined;

function probe(): boolean {
  const library = loadOrtLibrary();
  using env = new OrtEnv(library);
  using memory = new CpuMemoryInfo(library);
  using session = new Session(env, probeModel());
  const call = new RunCall(session);
  // One row and several rows take different kernels.
  return [1, 4].some((rows) => {
    const product = new Int32Array(new ArrayBuffer(rows * COLUMNS * 4));
    using x = new OrtValue(library, memory, new Uint8Array(new ArrayBuffer(rows * DEPTH)).fill(255), [rows, DEPTH]);
    using y = new OrtValue(library, memory, product, [rows, COLUMNS]);
    call.setInput("x", x);
    call.setOutput("y", y);
    call.run();
    return product.some((sum) => sum !== 255 * 127 * DEPTH);
  });
}

function probeModel(): Uint8Array {
  const graph = new GraphBuilder("saturation probe");
  const x = graph.input("x", "u8", ["T", DEPTH]);
  const w = graph.constant("w", "i8", [DEPTH, COLUMNS], new Int8Array(DEPTH * COLUMNS).fill(127));
  graph.node("MatMulInteger", [x, w, graph.constant("zero", "u8", [], Uint8Array.of(0))], { outputs: ["y"] });
  return graph.output("y", "i32", ["T", COLUMNS]).build();
}
