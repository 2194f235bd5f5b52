/**
 * ModelSession: one model on one device: weights, cache, step buffers, compiled kernels. It lives until the device is
 * lost or the runner disposed; the runner makes another from the same config. In: ModelInput. Out: rows of logits.
 */
import { AbortedError, type LoadModelOptions, type ModelInput, type ModelSpec, type WeightSource } from "@weir/core";
import { loadAttention } from "./attention/load-attention.js";
import { BUFFER_USAGE, MAP_MODE_READ } from "./gpu/flags.js";
import { GpuBuffers } from "./gpu/gpu-buffers.js";
import type { GpuDevice } from "./gpu/gpu-device.js";
import { BoundProgram } from "./program/bound-program.js";
import { checkSizes } from "./program/check-sizes.js";
import { KvCache } from "./program/kv-cache.js";
import { lowerModel, type LoweredModel } from "./program/lower-model.js";
import { ropeTable } from "./program/rope-plan.js";
import { StepTables } from "./program/step-tables.js";
import { uploadWeights } from "./program/upload-weights.js";

export interface ModelConfig {
  readonly spec: ModelSpec;
  readonly weights: WeightSource;
  readonly options: LoadModelOptions;
}

interface SessionParts {
  readonly gpu: GpuDevice;
  readonly buffers: GpuBuffers;
  readonly kv: KvCache;
  readonly tables: StepTables;
  readonly program: BoundProgram;
  readonly layout: string;
  readonly weightBytes: number;
  readonly vocabSize: number;
}

export class ModelSession {
  readonly kv: KvCache;
  readonly layout: string;
  readonly weightBytes: number;
  readonly gpu: GpuDevice;
  readonly #buffers: GpuBuffers;
  readonly #tables: StepTables;
  readonly #program: BoundProgram;
  readonly #rowBytes: number;

  private constructor(parts: SessionParts) {
    this.gpu = parts.gpu;
    this.kv = parts.kv;
    this.layout = parts.layout;
    this.weightBytes = parts.weightBytes;
    this.#buffers = parts.buffers;
    this.#tables = parts.tables;
    this.#program = parts.program;
    this.#rowBytes = parts.vocabSize * 4;
  }

  /** Takes the device over: it is destroyed with the session, or here when loading fails. */
  static async load(gpu: GpuDevice, config: ModelConfig): Promise<ModelSession> {
    const buffers = new GpuBuffers(gpu);
    try {
      return new ModelSession(await loadParts(gpu, buffers, config));
    } catch (error) {
      buffers.destroy();
      gpu.destroy();
      throw error;
    }
  }

  /**
   * Runs a step.
   * @param read is given the logits [numRows, vocabSize] f32, which are gone when it returns
   * @throws EngineRestartedError when the device failed
   */
  async run(input: ModelInput, read: (logits: Float32Array) => void): Promise<void> {
    const { device } = this.gpu;
    const logitsBytes = input.numRows * this.#rowBytes;
    const readback = this.#buffers.get("readback");
    const { error } = await this.gpu.scoped("validation", () => {
      this.#tables.write(device.queue, this.#buffers, input);
      const encoder = device.createCommandEncoder({ label: "step" });
      const pass = encoder.beginComputePass();
      this.#program.encode(pass, input);
      pass.end();
      if (logitsBytes > 0) encoder.copyBufferToBuffer(this.#buffers.get("logits"), 0, readback, 0, logitsBytes);
      device.queue.submit([encoder.finish()]);
    });
    if (error) this.gpu.fail(`the GPU refused a step: ${error.message}`, error);
    this.gpu.throwIfFaulty();
    if (logitsBytes === 0) return this.gpu.done(device.queue.onSubmittedWorkDone());
    await this.gpu.done(readback.mapAsync(MAP_MODE_READ, 0, logitsBytes));
    try {
      read(new Float32Array(readback.getMappedRange(0, logitsBytes)));
    } finally {
      readback.unmap();
    }
  }

  destroy(): void {
    this.#buffers.destroy();
    this.gpu.destroy();
  }
}

/** Sizes are checked before anything is allocated, weights read before kernels are compiled. */
async function loadParts(gpu: GpuDevice, buffers: GpuBuffers, config: ModelConfig): Promise<SessionParts> {
  const { spec, weights, options } = config;
  const { limits, onProgress, signal } = options;
  const attention = await loadAttention(spec, options, gpu.device);
  const lowered = lowerModel(spec, limits, attention, gpu.maxBindingBytes);
  checkSizes(lowered, limits, gpu.maxBindingBytes);
  const tables = new StepTables(limits);
  const kv = new KvCache(gpu, buffers, lowered.kvBlocks);
  tables.create(buffers, limits);
  kv.create(limits);
  createBuffers(buffers, lowered, limits.maxNumSeqs * spec.vocabSize * 4);
  createTables(gpu, buffers, lowered, limits.maxModelLen);
  await buffers.settled();
  await uploadWeights(gpu, buffers, lowered.weights, weights, { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
  const bytes = lowered.weights.bytes;
  onProgress?.({ stage: "compile", bytesDone: bytes, bytesTotal: bytes });
  const program = await BoundProgram.compile(gpu, lowered.dispatches, buffers);
  if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
  onProgress?.({ stage: "ready", bytesDone: bytes, bytesTotal: bytes });
  return { gpu, buffers, kv, tables, program, layout: attention.layout, weightBytes: bytes, vocabSize: spec.vocabSize };
}

function createBuffers(buffers: GpuBuffers, { activations, weights }: LoweredModel, readbackBytes: number): void {
  for (const [name, bytes] of activations) buffers.create(name, bytes, BUFFER_USAGE.storage | BUFFER_USAGE.copySrc);
  for (const { name, size } of weights.buffers) buffers.create(name, size * 4, BUFFER_USAGE.storage | BUFFER_USAGE.copyDst);
  buffers.create("readback", readbackBytes, BUFFER_USAGE.mapRead | BUFFER_USAGE.copyDst);
}

/** What is computed here and never changes. */
function createTables(gpu: GpuDevice, buffers: GpuBuffers, { ropes, constants }: LoweredModel, maxModelLen: number): void {
  const create = (name: string, values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, usage: number): void => {
    buffers.create(name, values.byteLength, usage | BUFFER_USAGE.copyDst);
    gpu.device.queue.writeBuffer(buffers.get(name), 0, values);
  };
  for (const [name, rope] of ropes.tables) create(name, ropeTable(rope, maxModelLen), BUFFER_USAGE.storage);
  for (const [name, values] of constants) create(name, values, BUFFER_USAGE.uniform);
}
