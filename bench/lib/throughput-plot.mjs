/** Tokens per second against streams, decode and prefill, one SVG per model. In: medians. Out: SVG text. */
import { linePlot } from "../plot.mjs";

/** Longer prompts are another question; the table has them. */
const PROMPT_TOKENS = 128;

/**
 * @param {string} model
 * @param {Record<string, import("./engines.mjs").Load>} loads  by scenario
 * @param {ReturnType<typeof import("./throughput-report.mjs").summarize>} cells
 * @returns {string | undefined} nothing where fewer than two numbers of streams were measured
 */
export function plotThroughput(model, loads, cells) {
  const shown = cells.filter(({ scenario }) => loads[scenario].model === model && loads[scenario].promptTokens === PROMPT_TOKENS);
  const ticks = [...new Set(shown.map(({ scenario }) => loads[scenario].streams))].sort((a, b) => a - b);
  if (ticks.length < 2) return undefined;
  // Ours first, so that both panels and both models give a series the same colour.
  const names = [...new Set(shown.map(({ series }) => series))].sort((a, b) => Number(isPeer(a)) - Number(isPeer(b)));
  const panel = (/** @type {string} */ title, /** @type {"decode" | "prefill"} */ figure) => ({
    title,
    yLabel: "tok/s",
    lines: names.map((name) => ({
      name,
      dashed: isPeer(name),
      points: shown
        .filter(({ series }) => series === name)
        .map(({ scenario, figures }) => ({
          x: loads[scenario].streams,
          y: figures[figure].median,
          min: figures[figure].min,
          max: figures[figure].max,
        }))
        .sort((a, b) => a.x - b.x),
    })),
  });
  return linePlot({
    heading: `${model}, prompts of ${PROMPT_TOKENS} tokens: medians, least to most`,
    xLabel: "streams",
    ticks,
    panels: [panel("Decode", "decode"), panel("Prefill", "prefill")],
  });
}

/** @param {string} series */
function isPeer(series) {
  return series.startsWith("llama.cpp");
}
