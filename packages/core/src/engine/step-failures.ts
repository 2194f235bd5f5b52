/**
 * StepFailures: what to do when a step as a whole fails. A lost runner that can come back does so, and its requests
 * are replayed from their tokens: prompt and output so far are computed again as a prefill, so greedy and seeded
 * results are the same. A request that is running at every crash without getting on is held responsible and fails.
 * Anything else fails every live request; the engine itself stays usable.
 */
import { WeirError } from "../errors/index.js";
import { asError } from "./as-error.js";
import type { EngineParts } from "./engine-parts.js";
import type { EngineStats } from "./engine-stats.js";
import type { LiveRequests } from "./live-requests.js";

/** Restarts that a running request may see without a new token of its own. */
const MAX_RESTARTS_WITHOUT_TOKEN = 3;

export class StepFailures {
  readonly #parts: EngineParts;
  readonly #live: LiveRequests;
  readonly #stats: EngineStats;

  constructor(parts: EngineParts, live: LiveRequests, stats: EngineStats) {
    this.#parts = parts;
    this.#live = live;
    this.#stats = stats;
  }

  /** Called between steps. Never rejects. */
  async handle(thrown: unknown): Promise<void> {
    const error = asError(thrown);
    try {
      if (await this.#restart(error)) return;
      this.#live.failAll(error);
    } catch (failure) {
      this.#live.failAll(asError(failure));
    }
  }

  /** @returns whether the requests that are left will be replayed */
  async #restart(error: Error): Promise<boolean> {
    const { runner, scheduler, hub } = this.#parts;
    if (!WeirError.isInstance(error) || error.code !== "engine_restarted" || !runner.recover) return false;
    // Even when no request survives, the runner comes back for those to come.
    for (const request of this.#live.running()) {
      if (++request.restartsSinceToken > MAX_RESTARTS_WITHOUT_TOKEN) this.#live.fail(request, error);
    }
    this.#stats.health = "restarting";
    await runner.recover();
    this.#stats.health = "ok";
    scheduler.reset();
    // Copies of blocks whose content is gone.
    this.#live.copies.length = 0;
    this.#stats.restarts++;
    hub.emit({ type: "engine-restarted", numReplayed: this.#live.size });
    return true;
  }
}
