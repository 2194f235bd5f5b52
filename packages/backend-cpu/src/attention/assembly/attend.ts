/**
 * One work item: the query rows of some tokens of a sequence, for some kv heads and the heads of their groups, over
 * all visible blocks. Decode rows and prefill chunks take the same way: TILE_TOKENS positions at a time, in order, for
 * every row that sees them. So a row's bits depend on its own query, keys and values alone.
 * Within a tile the cache is read in the order in which it lies in memory: block by block, K of all heads, then V.
 */
import {
  ITEM_BLOCK_TABLE, ITEM_FIRST_TOKEN, ITEM_HEAD, ITEM_KV_HEAD, ITEM_NUM_HEADS, ITEM_NUM_KV_HEADS, ITEM_NUM_TOKENS,
  ITEM_PAST_LEN, ITEM_STORES, ROW_BEGIN, ROW_END, ROW_STEP, TILE_TOKENS,
} from "../kernel-abi";
import { denseScores1, denseScores2, denseValues1, denseValues2 } from "./dense";
import { blockShift, kBytes, stats, vBytes, window } from "./pass";
import { addPartials, quantizedScores1, quantizedScores2, quantizedValues1, quantizedValues2 } from "./quantized";
import { loadRows, storeRows } from "./rows";
import { findRuns, keysAt, runShift, touch, valuesAt } from "./runs";
import { softmax } from "./softmax";
import { storeTokens } from "./store";

export function attend(layer: usize, plan: usize, item: usize): void {
  const token = load<i32>(item, ITEM_FIRST_TOKEN);
  const tokens = load<i32>(item, ITEM_NUM_TOKENS);
  const kvHead = load<i32>(item, ITEM_KV_HEAD);
  const kvCount = load<i32>(item, ITEM_NUM_KV_HEADS);
  const head = load<i32>(item, ITEM_HEAD);
  const heads = load<i32>(item, ITEM_NUM_HEADS);
  if (load<i32>(item, ITEM_STORES)) storeTokens(layer, plan, token, tokens, kvHead, kvCount);
  loadRows(layer, plan, token, tokens, kvHead, kvCount, head, heads);
  attendTiles(load<usize>(item, ITEM_BLOCK_TABLE), load<i32>(item, ITEM_PAST_LEN), tokens, kvHead, kvCount, heads);
  storeRows(layer, token, tokens, kvHead, kvCount, head, heads);
}

function attendTiles(table: usize, pastLen: i32, tokens: i32, kvHead: i32, kvCount: i32, heads: i32): void {
  const end = pastLen + tokens;
  const begin = window ? max(0, pastLen + 1 - window) : 0;
  let whole = false;
  for (let base = begin & -TILE_TOKENS; base < end; base += TILE_TOKENS) {
    const first = max(begin - base, 0);
    const last = min(end - base, TILE_TOKENS);
    findRuns(table, base, first, last);
    const seesAll = base + TILE_TOKENS <= pastLen + 1 && (!window || end - window <= base);
    if (!whole || !seesAll) limitRows(pastLen + 1 - base, tokens, kvCount, heads);
    whole = seesAll;
    touchTile(kvHead, kvCount, first, last);
    score(kvHead, kvCount, tokens * heads, first, last);
    for (let row = 0, kv = 0; kv < kvCount; kv++) {
      for (let i = 0; i < tokens * heads; i++, row++) {
        if (load<i32>(stats(row), ROW_BEGIN) < load<i32>(stats(row), ROW_END)) softmax(row, kvHead + kv);
      }
    }
    gather(kvHead, kvCount, tokens * heads, first, last);
  }
}

/** Fetches the tile's K and V, in the order in which they lie. Of a block larger than a tile it would fetch too much. */
function touchTile(kvHead: i32, kvCount: i32, first: i32, last: i32): void {
  const run = 1 << runShift();
  if (run < 1 << blockShift) return;
  for (let p = first & -run; p < last; p += run) touch(keysAt(kvHead, p, runShift()), <usize>kvCount * kBytes);
  for (let p = first & -run; p < last; p += run) touch(valuesAt(kvHead, p, runShift()), <usize>kvCount * vBytes);
}

/** Which positions of the tile each row sees (its token t those before firstEnd + t, as far as the window reaches), and which neighbours see the same. */
function limitRows(firstEnd: i32, tokens: i32, kvCount: i32, heads: i32): void {
  let row = 0;
  for (let kv = 0; kv < kvCount; kv++) {
    for (let t = 0; t < tokens; t++) {
      const begin = window ? min(max(firstEnd + t - window, 0), TILE_TOKENS) : 0;
      const end = max(min(firstEnd + t, TILE_TOKENS), 0);
      for (let h = 0; h < heads; h++, row++) {
        store<i32>(stats(row), begin, ROW_BEGIN);
        store<i32>(stats(row), end, ROW_END);
      }
    }
    pairRows(row - tokens * heads, row);
  }
}

function pairRows(row: i32, end: i32): void {
  while (row < end) {
    const alike = row + 1 < end && load<u64>(stats(row), ROW_BEGIN) == load<u64>(stats(row + 1), ROW_BEGIN);
    const step = alike ? 2 : 1;
    store<i32>(stats(row), step, ROW_STEP);
    row += step;
  }
}

/** Scores of all rows, 16 positions at a time. */
function score(kvHead: i32, kvCount: i32, rowsPerKv: i32, first: i32, last: i32): void {
  for (let p = first & -16; p < last; p += 16) {
    let row = 0;
    for (let kv = kvHead; kv < kvHead + kvCount; kv++) {
      const end = row + rowsPerKv;
      while (row < end) {
        const step = load<i32>(stats(row), ROW_STEP);
        if (load<i32>(stats(row), ROW_BEGIN) < p + 16 && p < load<i32>(stats(row), ROW_END)) {
          if (step == 2) scores2(row, kv, p);
          else scores1(row, kv, p);
        }
        row += step;
      }
    }
  }
}

/** Weights x V of all rows: run by run where several heads lie behind each other, all at once otherwise. */
function gather(kvHead: i32, kvCount: i32, rowsPerKv: i32, first: i32, last: i32): void {
  const stride = kvCount > 1 ? max(1 << runShift(), 16) : TILE_TOKENS;
  for (let p = first & -stride; p < last; p += stride) {
    let row = 0;
    for (let kv = kvHead; kv < kvHead + kvCount; kv++) {
      const stop = row + rowsPerKv;
      while (row < stop) {
        const step = load<i32>(stats(row), ROW_STEP);
        const begin = max(p, load<i32>(stats(row), ROW_BEGIN));
        const end = min(p + stride, load<i32>(stats(row), ROW_END));
        if (begin < end) {
          if (step == 2) values2(row, kv, begin, end);
          else values1(row, kv, begin, end);
        }
        row += step;
      }
    }
  }
  if (KV_INT8) {
    for (let row = 0; row < kvCount * rowsPerKv; row++) {
      if (load<i32>(stats(row), ROW_BEGIN) < load<i32>(stats(row), ROW_END)) addPartials(row);
    }
  }
}

// @ts-ignore: decorator
@inline
function scores2(row: i32, kv: i32, p: i32): void {
  if (KV_INT8) quantizedScores2(row, kv, p);
  else denseScores2(row, kv, p);
}

// @ts-ignore: decorator
@inline
function scores1(row: i32, kv: i32, p: i32): void {
  if (KV_INT8) quantizedScores1(row, kv, p);
  else denseScores1(row, kv, p);
}

// @ts-ignore: decorator
@inline
function values2(row: i32, kv: i32, begin: i32, end: i32): void {
  if (KV_INT8) quantizedValues2(row, kv, begin, end);
  else denseValues2(row, kv, begin, end);
}

// @ts-ignore: decorator
@inline
function values1(row: i32, kv: i32, begin: i32, end: i32): void {
  if (KV_INT8) quantizedValues1(row, kv, begin, end);
  else denseValues1(row, kv, begin, end);
}
