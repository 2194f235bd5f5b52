import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/graph-builder.js";
import { availableProviders } from "./execution-provider.js";
import { loadOrtLibrary } from "./library.js";
import { OrtEnv } from "./ort-env.js";
import { Session } from "./session.js";

const library = loadOrtLibrary();
const HAS_CUDA = existsSync(join(dirname(library.path), "libonnxruntime_providers_cuda.so"));

afterEach(() => expect(library.handles.live()).toBe(0));

describe("execution providers", () => {
  it("are listed by name, whether they can be used or not", () => {
    expect(availableProviders(library)).toContain("CPUExecutionProvider");
  });

  it.skipIf(HAS_CUDA || process.platform !== "linux")(
    "that cannot be loaded are BackendUnavailableErrors with the loader's reason (skipped where CUDA is installed)",
    async () => {
      using env = new OrtEnv(library);
      const provider = { name: "CUDA", options: { device_id: "0" } } as const;
      const refused = expect.objectContaining({ code: "backend_unavailable", message: expect.stringMatching(/CUDA execution provider/) });
      expect(() => new Session(env, negation(), { provider })).toThrow(refused);
      await expect(Session.open(env, negation(), { provider })).rejects.toEqual(refused);
    },
  );

  it("refuse options that they do not know", () => {
    using env = new OrtEnv(library);
    const provider = { name: "CUDA", options: { no_such_option: "1" } } as const;
    expect(() => new Session(env, negation(), { provider })).toThrow(expect.objectContaining({ code: "backend_unavailable" }));
  });
});

describe("a session opened off the event loop", () => {
  it("is as one made on it, and a broken model is a ModelLoadError", async () => {
    using env = new OrtEnv(library);
    using session = await Session.open(env, negation(), {});
    expect([session.inputNames, session.outputNames]).toEqual([["x"], ["y"]]);
    await expect(Session.open(env, new Uint8Array(100), {})).rejects.toMatchObject({ code: "model_load" });
    await expect(Session.open(env, new Uint8Array(100), {}, "provider")).rejects.toMatchObject({ code: "backend_unavailable" });
  });
});

/** y = -x, [1] */
function negation(): Uint8Array {
  const graph = new GraphBuilder("negation");
  graph.node("Neg", [graph.input("x", "f32", [1])], { outputs: ["y"] });
  return graph.output("y", "f32", [1]).build();
}
