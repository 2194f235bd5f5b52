import { BackendUnavailableError, DisposedError, InternalError, ModelLoadError } from "@weir/core";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/graph-builder.js";
import { IoBinding } from "./io-binding.js";
import { loadOrtLibrary } from "./library.js";
import { locateLibrary } from "./locate-library.js";
import { CpuMemoryInfo } from "./memory-info.js";
import { OrtEnv } from "./ort-env.js";
import { OrtValue } from "./ort-value.js";
import { RunCall } from "./run-call.js";
import { Session } from "./session.js";
import { toWeirError } from "./status.js";

const library = loadOrtLibrary();

afterEach(() => expect(library.handles.live()).toBe(0));

/** y = x + 1, [T, 4] */
function addOne(): Uint8Array {
  const graph = new GraphBuilder("add one");
  graph.node("Add", [graph.input("x", "f32", ["T", 4]), graph.constant("one", "f32", [], Float32Array.of(1))], { outputs: ["y"] });
  return graph.output("y", "f32", ["T", 4]).build();
}

describe("the library", () => {
  it("is the one inside onnxruntime-node, loaded once", () => {
    expect(library.version).toBe("1.30.0");
    expect(loadOrtLibrary(locateLibrary())).toBe(library);
  });

  it("is refused with one clear error where none is shipped or the file is no library", () => {
    expect(() => locateLibrary("freebsd", "x64")).toThrow(BackendUnavailableError);
    expect(() => locateLibrary("freebsd", "x64")).toThrow(/no ONNX Runtime for freebsd-x64; supported: linux-x64/);
    expect(() => loadOrtLibrary("/nonexistent/libonnxruntime.so")).toThrow(BackendUnavailableError);
    expect(() => loadOrtLibrary(fileURLToPath(import.meta.url))).toThrow(BackendUnavailableError);
  });
});

describe("a session", () => {
  const memories: (() => Float32Array)[] = [
    () => new Float32Array(new ArrayBuffer(32)),
    () => new Float32Array(new SharedArrayBuffer(32)),
    () => new Float32Array(wasmMemory(), 64, 8),
  ];
  for (const [i, memory] of memories.entries()) {
    it(`reads and writes the caller's memory: ${["ArrayBuffer", "SharedArrayBuffer", "WebAssembly.Memory"][i]}`, async () => {
      using env = new OrtEnv(library);
      using info = new CpuMemoryInfo(library);
      using session = new Session(env, addOne());
      expect([session.inputNames, session.outputNames]).toEqual([["x"], ["y"]]);
      const [x, y] = [memory().fill(2), memory()];
      using xValue = new OrtValue(library, info, x, [2, 4]);
      using yValue = new OrtValue(library, info, y, [2, 4]);
      const call = new RunCall(session);
      call.setInput("x", xValue);
      call.setOutput("y", yValue);
      call.run();
      expect([...y]).toEqual(Array(8).fill(3));
      x.fill(5);
      await call.runAsync();
      expect([...y]).toEqual(Array(8).fill(6));
      using binding = new IoBinding(session);
      binding.bindInput("x", xValue);
      binding.bindOutput("y", yValue);
      x.fill(7);
      binding.run();
      expect(y[7]).toBe(8);
      x.fill(9);
      await binding.runAsync();
      expect(y[0]).toBe(10);
      binding.clear();
      expect(() => binding.run()).toThrow();
    });
  }

  it("refuses what is no model, missing values, wrong shapes and wrong names", () => {
    using env = new OrtEnv(library);
    using info = new CpuMemoryInfo(library);
    expect(() => new Session(env, new Uint8Array(100))).toThrow(ModelLoadError);
    expect(() => new Session(env, "/nonexistent.onnx")).toThrow(ModelLoadError);
    using session = new Session(env, addOne());
    const call = new RunCall(session);
    expect(() => call.run()).toThrow(/values are missing for x, y/);
    expect(() => new OrtValue(library, info, new Float32Array(4), [2, 4])).toThrow(InternalError);
    using value = new OrtValue(library, info, new Float32Array(8), [2, 4]);
    expect(() => call.setInput("z", value)).toThrow(/no "z"; it has x/);
    using wrong = new OrtValue(library, info, new Float32Array(6), [2, 3]);
    call.setInput("x", wrong);
    call.setOutput("y", value);
    expect(() => call.run()).toThrow(/INVALID_ARGUMENT/);
  });

  it("cannot be used after dispose, which may be called twice", () => {
    using env = new OrtEnv(library);
    const session = new Session(env, addOne());
    session.dispose();
    session.dispose();
    expect(session.disposed).toBe(true);
    expect(() => session.pointer).toThrow(DisposedError);
  });
});

describe("handles", () => {
  it("are counted by kind", () => {
    const env = new OrtEnv(library);
    expect([library.handles.live("env"), library.handles.live("session"), library.handles.live()]).toEqual([1, 0, 1]);
    env.dispose();
  });

  it("that are collected undisposed are reported to the leak watcher", async () => {
    const { handles } = library;
    const leaks: string[] = [];
    handles.watch((kind) => leaks.push(kind));
    // A handle that only the counter knows, so that nothing native is leaked here.
    (() => handles.opened("value", {}))();
    const disposed = {};
    handles.opened("session", disposed);
    handles.closed("session", disposed);
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (let i = 0; i < 20 && leaks.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    expect(leaks).toEqual(["value"]);
    handles.closed("value", {});
  });
});

describe("errors", () => {
  it("become what a caller can react to", () => {
    const codeOf = (code: number, context: "load" | "call"): string => toWeirError(code, "m", "w", context).code;
    expect(codeOf(1, "load")).toBe("model_load");
    expect(codeOf(1, "call")).toBe("internal");
    expect(codeOf(3, "call")).toBe("model_load");
    expect(codeOf(9, "load")).toBe("not_supported");
    expect(codeOf(11, "call")).toBe("backend_unavailable");
    expect(codeOf(12, "load")).toBe("aborted");
    expect(toWeirError(2, "bad dims", "run", "call").message).toBe("run: bad dims (ONNX Runtime INVALID_ARGUMENT)");
  });
});

/** The compiler's library for Node has no WebAssembly. */
function wasmMemory(): SharedArrayBuffer {
  type Memory = new (limits: object) => { readonly buffer: SharedArrayBuffer };
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: Memory } }).WebAssembly;
  return new Memory({ initial: 1, maximum: 2, shared: true }).buffer;
}
