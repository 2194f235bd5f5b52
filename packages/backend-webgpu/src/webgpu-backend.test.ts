/** What the backend refuses, and that it does so before a device is asked for; on a GPU that computes nothing. */
import { InvalidOptionsError, NotSupportedError, type AttentionKernel, type LoadModelOptions, type ModelSpec } from "@weir/core";
import { describe, expect, it } from "vitest";
import { fakeDevice, fakeGpu } from "./testing-support/fake-gpu.js";
import { openLlama, SMALL_LIMITS, SMALL_LOAD } from "./testing-support/small-load.js";
import { pagedWgslAttention, webgpuBackend } from "./webgpu-backend.js";

const { spec, weights } = await openLlama();
const layer = spec.layers[0]!;

describe("what is refused before a device is opened", () => {
  const cases: readonly (readonly [string, Partial<LoadModelOptions>, RegExp])[] = [
    ["a weight scheme", { weightScheme: "int8" }, /weightScheme is int8; the webgpu backend takes f32/],
    ["a KV dtype", { kvDtype: "int8" }, /kvDtype is int8; the webgpu backend takes f32/],
    ["a block size", { limits: { ...SMALL_LIMITS, blockSize: 24 } }, /blockSize is 24/],
    ["too many positions", { limits: { ...SMALL_LIMITS, maxModelLen: 1024 } }, /maxModelLen is 1024; .* 512 positions/],
    ["too many tokens in a step", { limits: { ...SMALL_LIMITS, maxNumBatchedTokens: 70_000 } }, /maxNumBatchedTokens is 70000/],
    ["another backend's kernel", { attentionKernel: cpuKernel() }, /kernel 'theirs' is for the cpu backend/],
  ];
  it.each(cases)("%s", async (_, change, message) => {
    const { refusal, numDevices } = await load({ ...SMALL_LOAD, ...change });
    expect(InvalidOptionsError.isInstance(refusal) && refusal.code).toBe("invalid_options");
    expect(String(refusal)).toMatch(message);
    expect(numDevices).toBe(0);
  });

  const { attention, mlp } = layer;
  const specs: readonly (readonly [string, ModelSpec])[] = [
    ["layer norms", withLayer({ ...layer, mlpNorm: { ...layer.mlpNorm, kind: "layer" } })],
    ["norms of q and k", withLayer({ ...layer, attention: { ...attention, qNorm: layer.mlpNorm } })],
    ["attention sinks", withLayer({ ...layer, attention: { ...attention, sinks: "sinks" } })],
    ["attention that is not causal", withLayer({ ...layer, attention: { ...attention, causal: false } })],
    ["MLPs of kind plain", withLayer({ ...layer, mlp: { ...mlp, kind: "plain" } })],
    ["the activation gelu", withLayer({ ...layer, mlp: { ...mlp, activation: "gelu" } })],
    ["weights stored transposed", withLayer({ ...layer, mlp: { ...mlp, up: { ...mlp.up, transposed: true } } })],
    ["softcap of the head", { ...spec, head: { ...spec.head, softcap: 30 } }],
  ];
  it.each(specs)("%s, by name", async (what, changed) => {
    const { refusal, numDevices } = await load(SMALL_LOAD, changed);
    expect(NotSupportedError.isInstance(refusal) && refusal.code).toBe("not_supported");
    expect(String(refusal)).toContain(`the webgpu backend does not run ${what}`);
    expect(numDevices).toBe(0);
  });

  it("a tensor of another shape, by name", async () => {
    const { refusal } = await load(SMALL_LOAD, { ...spec, vocabSize: 513 });
    expect(refusal).toMatchObject({ code: "model_load" });
    expect(String(refusal)).toMatch(/model\.embed_tokens\.weight has shape \[512, 96\]/);
  });
});

describe("what is refused before a buffer is made", () => {
  it.each([
    ["a KV cache beyond one binding", { ...SMALL_LIMITS, numBlocks: 100 }, /numBlocks is 100: .* binds at most 65536; .* at most 32/],
    ["a step beyond one binding", { ...SMALL_LIMITS, maxNumBatchedTokens: 64 }, /maxNumBatchedTokens is 64: the buffer 'gateUp'/],
    ["logits beyond one binding", { ...SMALL_LIMITS, maxNumSeqs: 40, maxNumBatchedTokens: 40 }, /maxNumSeqs is 40: the buffer 'logits'/],
  ])("%s", async (_, limits, message) => {
    const { refusal, buffers } = await load({ ...SMALL_LOAD, limits }, spec, 65_536);
    expect(refusal).toMatchObject({ code: "invalid_options" });
    expect(String(refusal)).toMatch(message);
    expect(buffers).toEqual([]);
  });

  it("an attention kernel that does not load, or exports nothing of use", async () => {
    const missing = { ...pagedWgslAttention, module: "data:text/javascript,throw new Error('broken')" };
    const empty = { ...pagedWgslAttention, module: "data:text/javascript,export const nothing = 1" };
    for (const [attentionKernel, message] of [
      [missing, /does not load: broken/],
      [empty, /exports no createWgslAttention/],
    ] as const) {
      const { refusal, buffers } = await load({ ...SMALL_LOAD, attentionKernel });
      expect(refusal).toMatchObject({ code: "invalid_options" });
      expect(String(refusal)).toMatch(message);
      expect(buffers).toEqual([]);
    }
  });
});

describe("loading", () => {
  it("is refused after dispose, and when it is aborted", async () => {
    const { gpu } = fakeGpu();
    const backend = webgpuBackend({ gpu });
    const aborted = backend.loadModel(spec, weights, { ...SMALL_LOAD, signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    await backend.dispose();
    await backend.dispose();
    await expect(backend.loadModel(spec, weights, SMALL_LOAD)).rejects.toMatchObject({ code: "disposed" });
  });

  it("that is aborted half-way leaves no device and no buffer behind", async () => {
    const { gpu, devices } = fakeGpu();
    const abort = new AbortController();
    const loading = webgpuBackend({ gpu }).loadModel(spec, weights, {
      ...SMALL_LOAD,
      signal: abort.signal,
      onProgress: ({ stage }) => stage === "open" && abort.abort(),
    });
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    expect(devices).toHaveLength(1);
    expect(devices[0]!.destroyed()).toBe(true);
    expect(devices[0]!.buffers.every(({ isDestroyed }) => isDestroyed)).toBe(true);
  });

  it.each([
    ["out-of-memory", "invalid_options", /GPU has too little memory .*as asked.*; lower kvCacheBytes/],
    ["validation", "not_supported", /kernel 'embed embedding' does not compile: as asked/],
  ] as const)("fails by a typed error when the device answers %s, and destroys it", async (filter, code, message) => {
    const made = fakeDevice();
    made.failScopes(filter, "as asked");
    const loading = webgpuBackend({ device: () => made.device }).loadModel(spec, weights, SMALL_LOAD);
    await expect(loading).rejects.toMatchObject({ code });
    await expect(loading).rejects.toThrow(message);
    expect(made.destroyed()).toBe(true);
  });

  it("fails as unavailable when the device is lost meanwhile", async () => {
    const { gpu, devices } = fakeGpu();
    const onProgress = (): void => devices[0]!.lose("unknown");
    const loading = webgpuBackend({ gpu }).loadModel(spec, weights, { ...SMALL_LOAD, onProgress });
    await expect(loading).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(loading).rejects.toThrow(/GPU failed while the model was loaded: .*lost/);
  });

  it("tells its progress up to the end", async () => {
    const { gpu } = fakeGpu();
    const stages: string[] = [];
    let last = { bytesDone: 0, bytesTotal: 1 };
    const backend = webgpuBackend({ gpu });
    await backend.loadModel(spec, weights, {
      ...SMALL_LOAD,
      onProgress: (progress) => {
        stages.push(progress.stage);
        last = progress;
      },
    });
    expect([...new Set(stages)]).toEqual(["open", "compile", "ready"]);
    expect(last.bytesDone).toBe(last.bytesTotal);
    await backend.dispose();
  });
});

interface Attempt {
  readonly refusal: unknown;
  readonly numDevices: number;
  readonly buffers: readonly string[];
}

async function load(options: LoadModelOptions, changed: ModelSpec = spec, maxBytes = 1 << 30): Promise<Attempt> {
  const { gpu, devices } = fakeGpu({ maxStorageBufferBindingSize: maxBytes, maxBufferSize: maxBytes });
  const refusal = await webgpuBackend({ gpu })
    .loadModel(changed, weights, options)
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  return { refusal, numDevices: devices.length, buffers: devices.flatMap(({ buffers }) => buffers.map(({ label }) => label)) };
}

function withLayer(changed: ModelSpec["layers"][number]): ModelSpec {
  return { ...spec, layers: [changed, ...spec.layers.slice(1)] };
}

function cpuKernel(): AttentionKernel {
  return { name: "theirs", backend: "cpu", module: "file:///nowhere.js" };
}
