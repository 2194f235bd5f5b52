/**
 * The kernel's one export. Every thread that takes part calls `work` with the same layer; they share the items by
 * counters in memory, which the dispatcher has set to zero.
 */
import {
  CONTROL_NEXT_ITEM, CONTROL_NEXT_STORE, CONTROL_STORES_DONE, ITEM_BYTES, LAYER_PLAN, PLAN_ITEMS, PLAN_NUM_ITEMS,
  PLAN_NUM_STORES, PLAN_STORES, STORE_BYTES, STORE_FIRST_TOKEN, STORE_NUM_TOKENS,
} from "../kernel-abi";
import { attend } from "./attend";
import { bind, kvHeads } from "./pass";
import { storeTokens } from "./store";

/** Loads of the counter before a waiting thread sleeps: some ten microseconds. */
const SPINS = 20000;

export function work(layer: usize, thread: i32): void {
  const plan = load<usize>(layer, LAYER_PLAN);
  bind(layer, plan, thread);
  storePhase(layer, plan);
  const count = load<i32>(plan, PLAN_NUM_ITEMS);
  const items = load<usize>(plan, PLAN_ITEMS);
  for (let i = claim(CONTROL_NEXT_ITEM); i < count; i = claim(CONTROL_NEXT_ITEM)) {
    attend(layer, plan, items + <usize>i * ITEM_BYTES);
  }
}

/** k and v of sequences whose queries are spread over several items: all of it before any of them is read. */
function storePhase(layer: usize, plan: usize): void {
  const stores = load<i32>(plan, PLAN_NUM_STORES);
  if (!stores) return;
  for (let i = claim(CONTROL_NEXT_STORE); i < stores; i = claim(CONTROL_NEXT_STORE)) {
    const record = load<usize>(plan, PLAN_STORES) + <usize>i * STORE_BYTES;
    const first = load<i32>(record, STORE_FIRST_TOKEN);
    const count = load<i32>(record, STORE_NUM_TOKENS);
    storeTokens(layer, plan, first, count, 0, kvHeads);
    if (atomic.add<i32>(CONTROL_STORES_DONE, 1) + 1 == stores) atomic.notify(CONTROL_STORES_DONE, -1);
  }
  awaitStores(stores);
}

function awaitStores(stores: i32): void {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(CONTROL_STORES_DONE) >= stores) return;
  }
  for (let done = atomic.load<i32>(CONTROL_STORES_DONE); done < stores; done = atomic.load<i32>(CONTROL_STORES_DONE)) {
    atomic.wait<i32>(CONTROL_STORES_DONE, done, -1);
  }
}

// @ts-ignore: decorator
@inline
function claim(counter: usize): i32 {
  return atomic.add<i32>(counter, 1);
}
