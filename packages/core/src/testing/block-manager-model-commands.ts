/**
 * The commands that property tests give a BatchingModel, and the arbitraries that make them. fast-check comes in as
 * an argument, so that nothing here needs it outside tests.
 */
import type * as FastCheck from "fast-check";
import type { BlockManager, Scheduler, SchedulerConfig } from "../contracts/index.js";
import type { EngineSequence } from "../engine/sequence.js";
import { BatchingModel, type BatchingModelOptions } from "./block-manager-model.js";

type Fc = typeof FastCheck;
type BatchingCommand = FastCheck.Command<BatchingModel, BatchingModel>;

/** One scheduler with one block manager. */
export interface BatchingPair {
  readonly createBlockManager: BatchingModelOptions["createBlockManager"];
  readonly createScheduler: (blockManager: BlockManager, config: SchedulerConfig) => Scheduler;
}

export interface BatchingRun {
  readonly numRuns: number;
  readonly maxCommands: number;
}

/**
 * Runs random commands on random small pools; after the last one everybody must finish.
 * @returns commands run
 * @throws what fast-check reports, with seed and path to replay
 */
export function checkBatching(fc: Fc, pair: BatchingPair, run: BatchingRun): number {
  let numCommands = 0;
  const property = fc.property(
    pools(fc),
    commands(fc, run.maxCommands, () => numCommands++),
    (pool, sequence) => {
      const model = new BatchingModel({ ...pair, ...pool });
      fc.modelRun(() => ({ model, real: model }), sequence);
      model.drain(drainBound(model));
    },
  );
  fc.assert(property, { numRuns: run.numRuns });
  return numCommands;
}

/** Each live sequence may have to wait for all before it, a token a step, with recomputation on the way. */
function drainBound(model: BatchingModel): number {
  return 50 + 10 * model.live.reduce((sum, seq) => sum + seq.maxTokens, 0);
}

type Pool = Pick<BatchingModelOptions, "numBlocks" | "blockSize" | "config">;

function pools(fc: Fc): FastCheck.Arbitrary<Pool> {
  return fc.record({
    numBlocks: fc.integer({ min: 2, max: 40 }),
    blockSize: fc.integer({ min: 1, max: 5 }),
    config: fc.record({
      maxNumSeqs: fc.integer({ min: 1, max: 8 }),
      maxNumBatchedTokens: fc.integer({ min: 1, max: 40 }),
      maxPrefillChunk: fc.integer({ min: 1, max: 24 }),
    }),
  });
}

function commands(fc: Fc, maxCommands: number, onRun: () => void): FastCheck.Arbitrary<Iterable<BatchingCommand>> {
  const index = fc.nat({ max: 30 });
  const numNew = fc.integer({ min: 1, max: 12 });
  const add = fc.tuple(fc.integer({ min: 1, max: 20 }), numNew, fc.integer({ min: -1, max: 1 }));
  const onOne = (name: string, act: (model: BatchingModel, seq: EngineSequence, n: number) => void) =>
    fc
      .tuple(index, numNew)
      .map(([i, n]) => command(`${name}(${i},${n})`, onRun, (model) => act(model, model.live[i % model.live.length]!, n), isOccupied));
  const step = fc.constant(command("step", onRun, (model) => model.step(), isOccupied));
  const weighted = fc.oneof(
    { weight: 20, arbitrary: step },
    {
      weight: 8,
      arbitrary: add.map((args) => command(`add(${args.join()})`, onRun, (model) => model.add(...args))),
    },
    { weight: 3, arbitrary: onOne("fork", (model, seq, n) => model.fork(seq, n)) },
    {
      weight: 1,
      arbitrary: onOne("forkInFlight", (model, seq, n) => model.step(() => model.fork(seq, n))),
    },
    { weight: 3, arbitrary: onOne("pause", (_, seq) => (seq.paused = true)) },
    { weight: 4, arbitrary: onOne("resume", (_, seq) => (seq.paused = false)) },
    { weight: 2, arbitrary: onOne("abort", (model, seq) => model.abort(seq)) },
    {
      weight: 1,
      arbitrary: onOne("abortInFlight", (model, seq) => model.step(() => model.abort(seq))),
    },
    { weight: 1, arbitrary: fc.constantFrom(...resets(onRun)) },
  );
  return fc.commands([weighted], { maxCommands, size: "max" });
}

function resets(onRun: () => void): BatchingCommand[] {
  return [
    command("reset", onRun, (model) => model.reset(), isOccupied),
    command("resetInFlight", onRun, (model) => model.step(() => model.reset()), isOccupied),
  ];
}

function isOccupied(model: Readonly<BatchingModel>): boolean {
  return model.live.length > 0;
}

function command(
  name: string,
  onRun: () => void,
  act: (model: BatchingModel) => unknown,
  check: (model: Readonly<BatchingModel>) => boolean = () => true,
): BatchingCommand {
  return {
    check,
    run(model) {
      onRun();
      act(model);
      model.check();
    },
    toString: () => name,
  };
}
