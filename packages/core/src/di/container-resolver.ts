/**
 * ContainerResolver: an engine's services out of a tsyringe container. Each engine gets a child of the caller's
 * container, so that a class the caller registered gets this engine's block manager, limits and so on by @inject.
 * An option wins over a registration of the caller's, which wins over our default.
 */
import { instancePerContainerCachingFactory, type DependencyContainer } from "tsyringe";
import type { Resolver, ServiceFactory } from "./resolver.js";
import type { ServiceToken, ServiceTypes } from "./tokens.js";

export class ContainerResolver implements Resolver {
  readonly #child: DependencyContainer;
  readonly #parent: DependencyContainer;
  /** Tokens that the caller's container answers. */
  readonly #theirs = new Set<ServiceToken>();

  constructor(parent: DependencyContainer) {
    this.#parent = parent;
    this.#child = parent.createChildContainer();
  }

  provide<K extends ServiceToken>(token: K, factory: ServiceFactory<K>, asked: boolean): void {
    if (!asked && this.#parent.isRegistered(token, true)) return;
    // useFactory alone would make a new instance at each resolve.
    this.#child.register(token, { useFactory: instancePerContainerCachingFactory(() => factory(this)) });
  }

  resolve<K extends ServiceToken>(token: K): ServiceTypes[K] {
    const service = this.#child.resolve<ServiceTypes[K]>(token);
    // A transient registration of the caller's: whoever asks after the engine must get the engine's instance.
    if (!this.#child.isRegistered(token) && !this.#theirs.has(token)) {
      this.#theirs.add(token);
      this.#child.registerInstance(token, service);
    }
    return service;
  }
}
