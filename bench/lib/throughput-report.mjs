/**
 * From single measurements to medians, ratios and the tables of `bench/LOG.md`.
 * In: scenarios and measurements. Out: plain data and markdown. Called by `throughput.mjs`; measures nothing.
 * Disturbed runs are left out wherever an undisturbed one is left: they flatter whoever suffers less, which is us.
 */
import { seriesName } from "./engines.mjs";
import { figure, markdownTable, spread } from "./markdown.mjs";
import { summaryOf } from "./statistics.mjs";

/** @typedef {import("./scenarios.mjs").Scenario} Scenario */
/** @typedef {import("./scenarios.mjs").Target} Target */
/** @typedef {{ scenario: string, round: number, series: string, result: any, disturbed?: boolean }} Measurement */
/** @typedef {{ median: number, min: number, max: number }} Summary */
/** @typedef {"decode_tokens_per_s" | "prefill_tokens_per_s"} Rate */

const FIGURES = {
  prefill: (/** @type {any} */ result) => result.prefill_tokens_per_s,
  decode: (/** @type {any} */ result) => result.decode_tokens_per_s,
  ttftP50: (/** @type {any} */ result) => result.ttft_ms.p50,
  itlP50: (/** @type {any} */ result) => result.itl_ms.p50,
  itlP99: (/** @type {any} */ result) => result.itl_ms.p99,
  loopDelayP99: (/** @type {any} */ result) => result.loop_delay_p99_ms,
  peakRssMb: (/** @type {any} */ result) => result.peak_rss_mb,
};

/** @param {readonly Measurement[]} measurements @returns one entry per scenario and series */
export function summarize(measurements) {
  return [...groupBy(measurements, keyOf).values()].map((runs) => {
    const calm = runs.filter(({ disturbed }) => !disturbed);
    const used = calm.length > 0 ? calm : runs;
    return {
      scenario: runs[0].scenario,
      series: runs[0].series,
      runs: runs.length,
      disturbed: runs.length - calm.length,
      figures: Object.fromEntries(Object.entries(FIGURES).map(([name, read]) => [name, summaryOf(used.map(({ result }) => read(result)))])),
    };
  });
}

/** @param {readonly Scenario[]} scenarios @param {ReturnType<typeof summarize>} cells @param {string} model */
export function rateTable(scenarios, cells, model) {
  const rows = scenarios
    .filter(({ load }) => load.model === model)
    .flatMap(({ id, load }) =>
      cells
        .filter(({ scenario }) => scenario === id)
        .map(({ series, runs, disturbed, figures }) => [
          `${load.streams} x ${load.promptTokens}`,
          series,
          spread(figures.prefill),
          spread(figures.decode),
          figure(figures.ttftP50.median, 0),
          `${figure(figures.itlP50.median)} / ${figure(figures.itlP99.median)}`,
          figure(figures.loopDelayP99.median),
          figure(figures.peakRssMb.median, 0),
          countOf(runs, disturbed),
        ]),
    );
  const head = [
    "streams x prompt",
    "",
    "prefill tok/s",
    "decode tok/s",
    "TTFT p50 ms",
    "ITL p50 / p99 ms",
    "loop p99 ms",
    "peak RSS MB",
    "runs",
  ];
  return markdownTable(head, rows);
}

/** @param {number} runs @param {number} disturbed */
function countOf(runs, disturbed) {
  if (disturbed === 0) return runs;
  return disturbed === runs ? `${runs}, all disturbed` : `${runs}, of them ${disturbed} disturbed and left out`;
}

/**
 * One row per scenario and series of ours. A ratio is taken within a round, of undisturbed neighbours in time.
 * @param {readonly Scenario[]} scenarios @param {readonly Measurement[]} measurements
 */
export function ratioTable(scenarios, measurements) {
  const rows = scenarios.flatMap((scenario) =>
    scenario.runs
      .filter(({ series }) => series.engine === "weir" && measurements.some((one) => isOf(one, scenario, seriesName(series))))
      .map(({ series }) => ratioRow(scenario, series, measurements)),
  );
  return markdownTable(["", "ours", "decode / lockstep", "decode / free", "asked", "prefill / lockstep", "prefill / free", "asked"], rows);
}

/** @param {Scenario} scenario @param {import("./engines.mjs").Series} series @param {readonly Measurement[]} measurements */
function ratioRow(scenario, series, measurements) {
  const ours = seriesName(series);
  const against = (/** @type {"lockstep" | "free"} */ pace, /** @type {Rate} */ rate) =>
    ratios(scenario, measurements, { ours, theirs: seriesName({ engine: "peer", pace }), rate });
  const half = (/** @type {Rate} */ rate, /** @type {Target | undefined} */ target) => {
    const lockstep = against("lockstep", rate);
    const free = against("free", rate);
    const asked = target && series.engine === "weir" && (!target.quantize || target.quantize === series.quantize);
    return [times(lockstep), times(free), asked ? verdict(target, lockstep, free) : ""];
  };
  const { decode, prefill } = scenario.targets;
  return [scenario.id, ours, ...half("decode_tokens_per_s", decode), ...half("prefill_tokens_per_s", prefill)];
}

/**
 * @param {Scenario} scenario @param {readonly Measurement[]} measurements
 * @param {{ ours: string, theirs: string, rate: Rate }} pair
 * @returns {Summary | undefined} nothing without a round in which both were undisturbed
 */
function ratios(scenario, measurements, { ours, theirs, rate }) {
  const found = measurements
    .filter((one) => isOf(one, scenario, ours) && !one.disturbed)
    .flatMap((our) => {
      const their = measurements.find((one) => isOf(one, scenario, theirs) && one.round === our.round && !one.disturbed);
      return their ? [our.result[rate] / their.result[rate]] : [];
    });
  return found.length === 0 ? undefined : summaryOf(found);
}

/** @param {Target} target @param {Summary | undefined} lockstep @param {Summary | undefined} free */
function verdict({ least, aim }, lockstep, free) {
  const asked = `>= ${least}${aim ? `, aim ${aim}` : ""}: `;
  if (!lockstep) return `${asked}no undisturbed pair`;
  if (lockstep.median >= least) return `${asked}met`;
  if (free && free.median >= least) return `${asked}met against free only`;
  return `${asked}not met`;
}

/** @param {Summary | undefined} summary */
function times(summary) {
  if (!summary) return "-";
  const { median, min, max } = summary;
  return min === max ? `${median.toFixed(2)}x` : `${median.toFixed(2)}x (${min.toFixed(2)}-${max.toFixed(2)})`;
}

/** @param {Measurement} one @param {Scenario} scenario @param {string} series */
function isOf(one, scenario, series) {
  return one.scenario === scenario.id && one.series === series;
}

/** @param {Measurement} one */
function keyOf({ scenario, series }) {
  return `${scenario} ${series}`;
}

/** Map.groupBy, which came with Node 21. @template T @param {readonly T[]} items @param {(item: T) => string} key */
function groupBy(items, key) {
  /** @type {Map<string, T[]>} */
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
