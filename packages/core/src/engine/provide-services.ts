/**
 * How each service of an engine is made: the caller's instance or factory, else the default. A factory's product is
 * the engine's to dispose; an instance stays its owner's.
 */
import type { LoadedModel } from "../contracts/index.js";
import type { Resolver } from "../di/resolver.js";
import {
  ATTENTION_KERNEL,
  BACKEND,
  BLOCK_MANAGER,
  CHAT_TEMPLATE,
  CLOCK,
  MODEL_LIMITS,
  MODEL_SPEC,
  QUANTIZER,
  SAMPLER,
  SCHEDULER,
  SCHEDULER_CONFIG,
  TOKENIZER,
  type Clock,
  type ServiceToken,
  type ServiceTypes,
} from "../di/tokens.js";
import { PagedBlockManager } from "../kv/index.js";
import { FcfsScheduler } from "../scheduler/index.js";
import type { DisposalList } from "./disposal-list.js";
import type { EngineOptions, EngineServices, Provided } from "./engine-options.js";
import type { EnginePlan } from "./resolve-limits.js";

/** Before the model is known. A container may have registered the backend instead. */
export function provideBackend({ backend }: EngineOptions, resolver: Resolver, owned: DisposalList): void {
  if (backend !== undefined) resolver.provide(BACKEND, makeWith(backend, resolver, owned), true);
}

export interface ServiceSources {
  readonly options: EngineOptions;
  readonly model: LoadedModel;
  readonly plan: EnginePlan;
  readonly resolver: Resolver;
  readonly owned: DisposalList;
  readonly now: Clock;
}

export function provideServices({ options, model, plan, resolver, owned, now }: ServiceSources): void {
  const { limits } = plan.memory;
  const facts = [
    [MODEL_SPEC, model.spec],
    [MODEL_LIMITS, limits],
    [SCHEDULER_CONFIG, plan.schedulerConfig],
    [CLOCK, now],
  ] as const;
  for (const [token, value] of facts) resolver.provide(token, () => value, true);
  /** The caller's, or the default, which a container's registration replaces. */
  const offer = <K extends ServiceToken>(
    token: K,
    asked: Provided<ServiceTypes[K]> | undefined,
    makeDefault: () => ServiceTypes[K],
  ): void => {
    if (asked !== undefined) resolver.provide(token, makeWith<ServiceTypes[K]>(asked, resolver, owned), true);
    else resolver.provide(token, makeDefault, false);
  };
  offer(TOKENIZER, options.tokenizer, () => model.tokenizer);
  offer(CHAT_TEMPLATE, options.chatTemplate, () => model.chatTemplate);
  offer(SAMPLER, options.sampler, () => undefined);
  offer(QUANTIZER, options.quantizer, () => undefined);
  offer(ATTENTION_KERNEL, options.attentionKernel, () => undefined);
  offer(BLOCK_MANAGER, options.blockManager, () => new PagedBlockManager(limits));
  offer(SCHEDULER, options.scheduler, () => new FcfsScheduler(resolver.resolve(BLOCK_MANAGER), plan.schedulerConfig));
}

function makeWith<T>(provided: Provided<T>, resolver: Resolver, owned: DisposalList): () => T {
  if (typeof provided !== "function") return () => provided;
  const factory = provided as (services: EngineServices) => T;
  return () => owned.own(factory(servicesOf(resolver)));
}

/** Getters, so that a factory makes only what it uses. */
function servicesOf(resolver: Resolver): EngineServices {
  return {
    get backend() {
      return resolver.resolve(BACKEND);
    },
    get spec() {
      return resolver.resolve(MODEL_SPEC);
    },
    get limits() {
      return resolver.resolve(MODEL_LIMITS);
    },
    get schedulerConfig() {
      return resolver.resolve(SCHEDULER_CONFIG);
    },
    get blockManager() {
      return resolver.resolve(BLOCK_MANAGER);
    },
    get tokenizer() {
      return resolver.resolve(TOKENIZER);
    },
    get chatTemplate() {
      return resolver.resolve(CHAT_TEMPLATE);
    },
    get now() {
      return resolver.resolve(CLOCK);
    },
  };
}
