import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_LOGPROBS, type SamplingInput } from "../contracts/model-input.js";
import { ROW_NONFINITE, ROW_OK } from "../contracts/model-output.js";
import { createModelOutput, createSamplingInput, type MutableModelOutput } from "../engine/step-buffers.js";
import { CounterRandom } from "./counter-random.js";
import { DefaultSampler } from "./default-sampler.js";

/** One row's parameters, readable; what SamplingInput holds in columns. */
interface Row {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetition: number;
  presence: number;
  frequency: number;
  seed: number;
  counter: number;
  numLogprobs: number;
  prompt: number[];
  output: number[];
  bias: [number, number][];
}

const PLAIN: Row = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetition: 1,
  presence: 0,
  frequency: 0,
  seed: 1,
  counter: 0,
  numLogprobs: -1,
  prompt: [],
  output: [],
  bias: [],
};

const sampler = new DefaultSampler();

describe("DefaultSampler", () => {
  it("chooses what a naive f64 sampler chooses, under every combination of options", () => {
    let compared = 0;
    const run = (values: readonly number[], row: Row): void => {
      const logits = Float32Array.from(values);
      const expected = naiveSample(logits, row);
      const { token, status } = sample(values, row);
      expect(status).toBe(expected.token < 0 ? ROW_NONFINITE : ROW_OK);
      // Sums in another order may differ by rounding; a choice nearer to a border than that proves nothing.
      if (expected.margin < 1e-9) return;
      compared++;
      expect(token).toBe(expected.token);
    };
    fc.assert(
      fc.property(
        logitRow.chain((values) => fc.tuple(fc.constant(values), rowParams(values.length))),
        ([values, row]) => run(values, row),
      ),
      { numRuns: 3000, seed: 11 },
    );
    expect(compared).toBeGreaterThan(2500);
  });

  it("leaves the row as it was", () => {
    const logits = Float32Array.from([1, -2, 3, 0.5]);
    const before = logits.slice();
    const row = {
      ...PLAIN,
      repetition: 2,
      presence: 1,
      prompt: [0, 1],
      output: [2, 2],
      bias: [
        [2, -50],
        [2, 1],
        [3, -Infinity],
      ],
    };
    const fresh = new DefaultSampler();
    for (let i = 0; i < 2; i++) {
      fresh.sample(logits, inputOf([row as Row]), 0, outputOf(1));
      expect(logits).toEqual(before);
    }
  });

  it("never picks a token at -Infinity or one that is banned, at any temperature", () => {
    for (let counter = 0; counter < 500; counter++) {
      const row = { ...PLAIN, temperature: 100, counter, bias: [[1, -Infinity]] as [number, number][] };
      expect([0, 3]).toContain(sample([0, 9, -Infinity, 1, -Infinity], row).token);
    }
  });

  it("gives a seeded row the same token in any row of any batch, whatever its neighbours", () => {
    const values = Array.from({ length: 300 }, (_, i) => Math.sin(i) * 4);
    const row: Row = { ...PLAIN, temperature: 1, topP: 0.95, seed: 2 ** 40 + 17, counter: 5, output: [3], presence: 0.5 };
    const alone = sample(values, row).token;
    const other: Row = { ...PLAIN, temperature: 2, seed: 3, prompt: [1, 2], repetition: 1.3, bias: [[7, 2]] };
    for (const at of [0, 1, 5]) {
      const rows = Array.from({ length: 7 }, (_, i) => (i === at ? row : { ...other, counter: i }));
      const input = inputOf(rows);
      const out = outputOf(rows.length);
      rows.forEach((_, i) => sampler.sample(Float32Array.from(values), input, i, out));
      expect(out.tokenIds[at]).toBe(alone);
    }
  });

  it("takes the lower id among equals, greedy and with top-k 1", () => {
    expect(sample([1, 4, 4, 4], PLAIN).token).toBe(1);
    expect(sample([1, 4, 4, 4], { ...PLAIN, temperature: 1, topK: 1 }).token).toBe(1);
  });

  it("keeps only the lower ids where top-k cuts through equal logits", () => {
    const seen = new Set<number>();
    for (let counter = 0; counter < 300; counter++) seen.add(sample([2, 2, 2, 2, 2], { ...PLAIN, temperature: 1, topK: 2, counter }).token);
    expect([...seen].sort()).toEqual([0, 1]);
    for (let counter = 0; counter < 300; counter++)
      expect(sample([2, 2, 2], { ...PLAIN, temperature: 1, topK: 2, counter }).token).not.toBe(2);
  });

  it("treats a temperature below 1e-5 as greedy and one just above as a draw that the best token wins", () => {
    for (const temperature of [0, 1e-30, 9.9e-6, 1.1e-5]) expect(sample([1, 1.1, 0], { ...PLAIN, temperature }).token).toBe(1);
  });

  it("survives logits at the ends of f32", () => {
    expect(sample([-3.4e38, 3.4e38, 0], { ...PLAIN, temperature: 100, topP: 0.5 }).token).toBe(1);
    expect(sample([-3.4e38, -3.4e38], { ...PLAIN, temperature: 1 }).status).toBe(ROW_OK);
  });
});

describe("DefaultSampler on rows that are not finite", () => {
  const drawn: Row = { ...PLAIN, temperature: 0.8, topK: 3, topP: 0.9, minP: 0.1 };
  const rows: [string, Row][] = [
    ["greedy", PLAIN],
    ["drawn", drawn],
    ["with logprobs", { ...drawn, numLogprobs: 3 }],
    ["with the bad token banned", { ...PLAIN, bias: [[2, -Infinity]] }],
    ["with penalties", { ...PLAIN, repetition: 2, prompt: [2], frequency: 1 }],
  ];

  it.each(rows)("reports NaN and +Infinity: %s", (_name, row) => {
    for (const bad of [NaN, Infinity]) {
      expect(sample([1, 2, bad, 0, 1, 2, 3, 4, 5], row)).toMatchObject({ status: ROW_NONFINITE, token: -1, logprob: NaN });
    }
  });

  it("reports a row in which no token is left", () => {
    expect(sample([-Infinity, -Infinity], PLAIN).status).toBe(ROW_NONFINITE);
    expect(
      sample([1, 2], {
        ...drawn,
        bias: [
          [0, -Infinity],
          [1, -Infinity],
        ],
      }).status,
    ).toBe(ROW_NONFINITE);
  });

  it("clears an earlier failure of the same row", () => {
    const out = outputOf(1);
    sampler.sample(Float32Array.from([NaN]), inputOf([PLAIN]), 0, out);
    sampler.sample(Float32Array.from([1]), inputOf([PLAIN]), 0, out);
    expect(out.status[0]).toBe(ROW_OK);
  });
});

describe("DefaultSampler's logprobs", () => {
  it("are of the raw row: bias, penalties, temperature and truncation do not show", () => {
    const values = [1, 3, 2, -1];
    const row: Row = { ...PLAIN, temperature: 0.1, topK: 1, numLogprobs: 4, output: [1], presence: 2, frequency: 2, bias: [[3, 20]] };
    const { token, logprob, topIds, topLogprobs } = sample(values, row);
    const logZ = Math.log(values.reduce((sum, x) => sum + Math.exp(x), 0));
    expect(token).toBe(3);
    expect(logprob).toBeCloseTo(-1 - logZ, 6);
    expect(topIds).toEqual([1, 2, 0, 3]);
    topLogprobs.forEach((value, i) => expect(value).toBeCloseTo(values[topIds[i]!]! - logZ, 6));
  });

  it("agree with a naive f64 log-softmax to f32 precision, best first", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: -60, max: 60, noNaN: true }), { minLength: 2, maxLength: 200 }), (values) => {
        const numLogprobs = Math.min(MAX_LOGPROBS, values.length);
        const { token, logprob, topIds, topLogprobs } = sample(values, { ...PLAIN, numLogprobs });
        const max = Math.max(...values);
        const logZ = max + Math.log(values.reduce((sum, x) => sum + Math.exp(x - max), 0));
        const exact = (id: number): number => values[id]! - logZ;
        expect(Math.abs(logprob - exact(token))).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(exact(token))));
        expect(topIds[0]).toBe(token);
        topLogprobs.forEach((value, i) => {
          expect(Math.abs(value - exact(topIds[i]!))).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(exact(topIds[i]!))));
          if (i > 0) expect(value).toBeLessThanOrEqual(topLogprobs[i - 1]!);
        });
      }),
    );
  });

  it("are not computed unless asked for, and 0 asks for the chosen token's alone", () => {
    expect(sample([1, 2], PLAIN).logprob).toBeNaN();
    expect(sample([1, 2], { ...PLAIN, numLogprobs: 0 }).logprob).toBeCloseTo(-Math.log(1 + Math.exp(-1)), 6);
  });

  it("past the vocabulary are id -1 and -Infinity", () => {
    const { topIds, topLogprobs } = sample([1, 2], { ...PLAIN, numLogprobs: 4 });
    expect(topIds).toEqual([1, 0, -1, -1]);
    expect(topLogprobs.slice(2)).toEqual([-Infinity, -Infinity]);
  });
});

describe("DefaultSampler's distribution", () => {
  const values = [2, 1.5, 1, 0.5, 0, -0.5, -1, -2];
  // [parameters, 99.9 % point of chi-square for the kept tokens less one]
  const cases: [string, Partial<Row>, number][] = [
    ["temperature alone", { temperature: 1.3 }, 24.32],
    ["top-k", { temperature: 0.9, topK: 5 }, 18.47],
    ["top-p", { temperature: 1, topP: 0.8 }, 13.82],
    ["min-p", { temperature: 1, minP: 0.2 }, 16.27],
    ["all of them with a bias", { temperature: 1.5, topK: 7, topP: 0.95, minP: 0.1, bias: [[7, 3]] }, 22.46],
  ];

  it.each(cases)("follows the softmax of what is kept: %s", (_name, options, critical) => {
    const row = { ...PLAIN, ...options, seed: 1234 };
    const probabilities = naiveKept(adjust(Float32Array.from(values), row), row);
    const draws = 20_000;
    const counts = new Map<number, number>();
    const [logits, input, out] = [Float32Array.from(values), inputOf([row]), outputOf(1)];
    for (let counter = 0; counter < draws; counter++) {
      input.counter[0] = counter;
      sampler.sample(logits, input, 0, out);
      counts.set(out.tokenIds[0]!, (counts.get(out.tokenIds[0]!) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (const [id, p] of probabilities.shares) chiSquare += ((counts.get(id) ?? 0) - p * draws) ** 2 / (p * draws);
    expect([...counts.keys()].every((id) => probabilities.shares.has(id))).toBe(true);
    expect(chiSquare).toBeLessThan(critical);
  });
});

// What follows is the reference: whole sorts, plain softmax, no thresholds.

const logitRow = fc.oneof(
  fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 40 }),
  fc.array(fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constant(-Infinity)), { minLength: 1, maxLength: 60 }),
  fc
    .tuple(fc.integer({ min: 200, max: 3000 }), fc.double({ min: 0.1, max: 20, noNaN: true }))
    .map(([length, scale]) => Array.from({ length }, (_, i) => Math.sin(i * i * 0.7) * scale)),
  fc.array(fc.constantFrom(1, -1, NaN, Infinity, -Infinity), { minLength: 1, maxLength: 12 }),
);

function rowParams(vocabSize: number): fc.Arbitrary<Row> {
  const id = fc.integer({ min: 0, max: vocabSize - 1 });
  const or = <T>(off: T, on: fc.Arbitrary<T>): fc.Arbitrary<T> => fc.oneof(fc.constant(off), on);
  const between = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true }).map(Math.fround);
  return fc.record({
    temperature: or(0, between(0.05, 5)),
    topK: or(0, fc.integer({ min: 1, max: vocabSize })),
    topP: or(1, between(0.01, 1)),
    minP: or(0, between(0, 1)),
    repetition: or(1, between(0.2, 5)),
    presence: or(0, between(-2, 2)),
    frequency: or(0, between(-2, 2)),
    seed: fc.nat(),
    counter: fc.nat(1000),
    numLogprobs: fc.constantFrom(-1, 0, 5),
    prompt: fc.array(id, { maxLength: 10 }),
    output: fc.array(id, { maxLength: 10 }),
    bias: fc.array(fc.tuple(id, fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constant(-Infinity))), { maxLength: 4 }),
  });
}

function naiveSample(logits: Float32Array, row: Row): { token: number; margin: number } {
  const adjusted = adjust(logits, row);
  const bad = (x: number): boolean => Number.isNaN(x) || x === Infinity;
  if (logits.some(bad) || adjusted.some(bad) || adjusted.every((x) => x === -Infinity)) return { token: -1, margin: 1 };
  if (row.numLogprobs >= 0 && logits.every((x) => x === -Infinity)) return { token: -1, margin: 1 };
  if (row.temperature === 0) return { token: ranked(adjusted)[0]!, margin: 1 };
  const { shares, margin } = naiveKept(adjusted, row);
  const u = new CounterRandom().uniform(row.seed, 0, row.counter);
  let cumulative = 0;
  let nearest = margin;
  let token = -1;
  for (const [id, share] of [...shares].sort((a, b) => a[0] - b[0])) {
    cumulative += share;
    nearest = Math.min(nearest, Math.abs(cumulative - u));
    if (token < 0 && cumulative > u) token = id;
  }
  return { token, margin: nearest };
}

/** The kept tokens' renormalised probabilities, and how near any decision was to its border. */
function naiveKept(adjusted: Float32Array, row: Row): { shares: Map<number, number>; margin: number } {
  const order = ranked(adjusted).filter((id) => adjusted[id]! > -Infinity);
  const temperature = Math.fround(row.temperature);
  const weight = (id: number): number => Math.exp((adjusted[id]! - adjusted[order[0]!]!) / temperature);
  let kept = row.topK > 0 ? order.slice(0, row.topK) : order;
  let margin = 1;
  const total = kept.reduce((sum, id) => sum + weight(id), 0);
  if (row.topP < 1) {
    let mass = 0;
    const end = kept.findIndex((id) => {
      mass += weight(id) / total;
      margin = Math.min(margin, Math.abs(mass - Math.fround(row.topP)));
      return mass >= Math.fround(row.topP);
    });
    if (end >= 0) kept = kept.slice(0, end + 1);
  }
  const minP = Math.fround(row.minP);
  const borders = minP > 0 ? kept.filter((id) => weight(id) < 1) : [];
  for (const id of borders) margin = Math.min(margin, Math.abs(weight(id) - minP));
  kept = kept.filter((id) => weight(id) >= minP);
  const left = kept.reduce((sum, id) => sum + weight(id), 0);
  return { shares: new Map(kept.map((id) => [id, weight(id) / left])), margin };
}

function adjust(logits: Float32Array, row: Row): Float32Array {
  const adjusted = logits.slice();
  for (const [id, value] of row.bias) adjusted[id]! += value;
  for (const id of new Set([...row.prompt, ...row.output])) {
    const count = row.output.filter((other) => other === id).length;
    const logit = adjusted[id]!;
    const repetition = Math.fround(row.repetition);
    adjusted[id] =
      (logit > 0 ? logit / repetition : logit * repetition) -
      Math.fround(row.frequency) * count -
      (count > 0 ? Math.fround(row.presence) : 0);
  }
  return adjusted;
}

function ranked(row: Float32Array): number[] {
  return Array.from(row.keys()).sort((a, b) => (row[a] === row[b] ? a - b : row[a]! > row[b]! ? -1 : 1));
}

// And this turns readable rows into the arrays of a step.

function sample(
  values: ArrayLike<number>,
  row: Row,
): { token: number; status: number; logprob: number; topIds: number[]; topLogprobs: number[] } {
  const out = outputOf(1);
  const logits = values instanceof Float32Array ? values : Float32Array.from(values);
  sampler.sample(logits, inputOf([row]), 0, out);
  const tops = Math.max(0, row.numLogprobs);
  return {
    token: out.tokenIds[0]!,
    status: out.status[0]!,
    logprob: out.logprobs[0]!,
    topIds: [...out.topIds.subarray(0, tops)],
    topLogprobs: [...out.topLogprobs.subarray(0, tops)],
  };
}

function outputOf(rows: number): MutableModelOutput {
  return createModelOutput(rows, new Float32Array(0));
}

function inputOf(rows: readonly Row[]): SamplingInput {
  const input = createSamplingInput(rows.length);
  const history: number[] = [];
  const bias: [number, number][] = [];
  rows.forEach((row, i) => {
    input.temperature[i] = row.temperature;
    input.topK[i] = row.topK;
    input.topP[i] = row.topP;
    input.minP[i] = row.minP;
    input.repetitionPenalty[i] = row.repetition;
    input.presencePenalty[i] = row.presence;
    input.frequencyPenalty[i] = row.frequency;
    input.seed[2 * i] = row.seed;
    input.seed[2 * i + 1] = Math.floor(row.seed / 2 ** 32);
    input.counter[i] = row.counter;
    input.numLogprobs[i] = row.numLogprobs;
    input.promptLens[i] = row.prompt.length;
    history.push(...row.prompt, ...row.output);
    bias.push(...row.bias);
    input.cuHistory[i + 1] = history.length;
    input.cuBias[i + 1] = bias.length;
  });
  input.historyIds = Int32Array.from(history);
  input.biasIds = Int32Array.from(bias, ([id]) => id);
  input.biasValues = Float32Array.from(bias, ([, value]) => value);
  return input;
}
