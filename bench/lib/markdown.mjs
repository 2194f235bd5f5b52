/** Markdown tables for `bench/LOG.md`. In: head and rows. Out: text. */

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly (string | number)[])[]} rows
 */
export function markdownTable(head, rows) {
  const line = (/** @type {readonly (string | number)[]} */ cells) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line), ""].join("\n");
}

/**
 * @param {number} value
 * @param {number} [digits]  after the point below 100; larger numbers have none
 */
export function figure(value, digits = 1) {
  if (!Number.isFinite(value)) return "-";
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(digits);
}

/** @param {{ median: number, min: number, max: number } | undefined} summary  as "median (min-max)" */
export function spread(summary) {
  if (!summary) return "-";
  const { median, min, max } = summary;
  return min === max ? figure(median) : `${figure(median)} (${figure(min)}-${figure(max)})`;
}
