/**
 * Resolver: how an engine finds its services. `provide` says how one is made, `resolve` makes it once. Two
 * implementations, one composition path (`engine/compose.ts`): the plain one below, and one over a tsyringe
 * container (`container-resolver.ts`).
 */
import type { ServiceToken, ServiceTypes } from "./tokens.js";
import { InvalidOptionsError } from "../errors/index.js";

export type ServiceFactory<K extends ServiceToken> = (resolver: Resolver) => ServiceTypes[K];

export interface Resolver {
  /**
   * @param asked true when the user passed this service as an option: it then wins over a container's registration
   */
  provide<K extends ServiceToken>(token: K, factory: ServiceFactory<K>, asked: boolean): void;
  /** The same instance each time. */
  resolve<K extends ServiceToken>(token: K): ServiceTypes[K];
}

/** A map of factories; all that `createEngine` needs. */
export class PlainResolver implements Resolver {
  readonly #factories = new Map<ServiceToken, (resolver: Resolver) => unknown>();
  readonly #instances = new Map<ServiceToken, unknown>();
  readonly #resolving = new Set<ServiceToken>();

  provide<K extends ServiceToken>(token: K, factory: ServiceFactory<K>): void {
    this.#factories.set(token, factory);
  }

  resolve<K extends ServiceToken>(token: K): ServiceTypes[K] {
    if (!this.#instances.has(token)) this.#instances.set(token, this.#make(token));
    return this.#instances.get(token) as ServiceTypes[K];
  }

  #make(token: ServiceToken): unknown {
    const factory = this.#factories.get(token);
    const name = token.description ?? "service";
    if (!factory) throw new InvalidOptionsError(`${name} was asked for before it is known; take it later, or not at all`);
    if (this.#resolving.has(token)) {
      const path = [...this.#resolving, token].map((step) => step.description).join(" -> ");
      throw new InvalidOptionsError(`services need each other in a circle: ${path}; break it in one of the factories`);
    }
    this.#resolving.add(token);
    try {
      return factory(this);
    } finally {
      this.#resolving.delete(token);
    }
  }
}
