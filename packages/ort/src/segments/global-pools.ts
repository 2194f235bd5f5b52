/**
 * Does the process's environment have global thread pools? It has not where another user of the same library
 * (onnxruntime-node itself, say) made the environment first. ONNX Runtime says so only when a session asks.
 */
import type { OrtEnv } from "../capi/ort-env.js";
import { Session } from "../capi/session.js";
import { GraphBuilder } from "../graph/graph-builder.js";

export function hasGlobalPools(env: OrtEnv): boolean {
  const graph = new GraphBuilder("probe");
  graph.node("Identity", [graph.input("x", "f32", [1])], { outputs: ["y"] });
  graph.output("y", "f32", [1]);
  try {
    new Session(env, graph.build(), { globalThreads: true }).dispose();
    return true;
  } catch {
    return false;
  }
}
