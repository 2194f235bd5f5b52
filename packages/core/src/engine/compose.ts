/**
 * composeEngine: the one way from EngineOptions to an LLMEngine, with or without a container: open the model, check
 * the plan, resolve the services, load the model into the backend. What it makes is disposed in reverse order: by
 * the engine, or here when a later stage fails.
 */
import { platform } from "#platform";
import type { Backend, LoadedModel, LoadProgress, ModelRunner, Platform } from "../contracts/index.js";
import { ATTENTION_KERNEL, BACKEND, BLOCK_MANAGER, CHAT_TEMPLATE, QUANTIZER, SAMPLER, SCHEDULER, TOKENIZER } from "../di/tokens.js";
import type { Resolver } from "../di/resolver.js";
import { AbortedError } from "../errors/index.js";
import { EventHub } from "../stream/event-hub.js";
import { DisposalList } from "./disposal-list.js";
import type { EngineOptions } from "./engine-options.js";
import type { EngineInfo } from "./engine-parts.js";
import { LLMEngine } from "./llm-engine.js";
import { provideBackend, provideServices } from "./provide-services.js";
import { resolveLimits, type EnginePlan } from "./resolve-limits.js";

/** Parts of the platform that tests replace. */
export type EnginePlatform = Platform;

/** @throws what `createEngine` throws; nothing is left behind then */
export async function composeEngine(options: EngineOptions, resolver: Resolver, on: EnginePlatform = platform): Promise<LLMEngine> {
  const owned = new DisposalList();
  try {
    return await compose(options, resolver, on, owned);
  } catch (error) {
    // The first failure is the one to report.
    await owned.disposeAll().catch(() => {});
    throw error;
  }
}

async function compose(options: EngineOptions, resolver: Resolver, on: EnginePlatform, owned: DisposalList): Promise<LLMEngine> {
  throwIfAborted(options.signal);
  provideBackend(options, resolver, owned);
  const backend = resolver.resolve(BACKEND);
  const model = await openModel(options, on, owned);
  throwIfAborted(options.signal);
  const plan = resolveLimits(options, model, backend, on.availableMemory());
  provideServices({ options, model, plan, resolver, owned, now: on.now });
  const tokenizer = resolver.resolve(TOKENIZER);
  const chatTemplate = resolver.resolve(CHAT_TEMPLATE);
  const sampler = resolver.resolve(SAMPLER);
  const blockManager = resolver.resolve(BLOCK_MANAGER);
  const scheduler = resolver.resolve(SCHEDULER);
  const runner = owned.own(await loadRunner(options, model, backend, plan, resolver));
  throwIfAborted(options.signal);
  const hub = new EventHub(options.observers ?? [], options.onError ?? logError);
  const info = describe(model, backend, plan, runner);
  return new LLMEngine({ info, backend, runner, scheduler, blockManager, tokenizer, chatTemplate, sampler, hub, platform: on, owned });
}

async function openModel(options: EngineOptions, on: EnginePlatform, owned: DisposalList): Promise<LoadedModel> {
  if (typeof options.model !== "string") return options.model;
  const model = await on.openModel(options.model, { ...signalOf(options), onProgress: progressOf(options) });
  owned.defer(() => model.weights.close());
  return model;
}

function loadRunner(
  options: EngineOptions,
  model: LoadedModel,
  backend: Backend,
  plan: EnginePlan,
  resolver: Resolver,
): Promise<ModelRunner> {
  const quantizer = resolver.resolve(QUANTIZER);
  const attentionKernel = resolver.resolve(ATTENTION_KERNEL);
  return backend.loadModel(model.spec, model.weights, {
    limits: plan.memory.limits,
    kvDtype: plan.kvDtype,
    weightScheme: plan.weightScheme,
    activations: options.activations ?? "auto",
    strict: options.strict ?? true,
    onProgress: progressOf(options),
    ...(quantizer ? { quantizer } : {}),
    ...(attentionKernel ? { attentionKernel } : {}),
    ...signalOf(options),
  });
}

function describe(model: LoadedModel, backend: Backend, plan: EnginePlan, runner: ModelRunner): EngineInfo {
  return {
    model: model.name,
    architecture: model.spec.architecture,
    vocabSize: model.spec.vocabSize,
    backend: backend.name,
    weightScheme: plan.weightScheme,
    kvDtype: plan.kvDtype,
    limits: runner.limits,
    memory: plan.memory,
  };
}

function progressOf(options: EngineOptions): (progress: LoadProgress) => void {
  return (progress) => {
    options.onProgress?.(progress);
    options.progress?.next(progress);
  };
}

function signalOf({ signal }: EngineOptions): { readonly signal?: AbortSignal } {
  return signal ? { signal } : {};
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError("making the engine was aborted", { cause: signal.reason });
}

function logError(error: unknown): void {
  console.error("weir: unhandled error of a stream's consumer:", error);
}
