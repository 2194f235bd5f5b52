/**
 * Line plots as SVG, readable on light and dark pages, without a dependency.
 * In: panels of series over a shared list of x values. Out: SVG text. Used by `lib/throughput-plot.mjs`.
 */

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {boolean} [dashed]
 * @property {readonly { x: number, y: number, min?: number, max?: number }[]} points  min and max draw a whisker
 */
/** @typedef {{ title: string, yLabel: string, lines: readonly Line[] }} Panel */

const PANEL = { width: 360, height: 240, left: 56, right: 16, top: 56, bottom: 44 };
const LEGEND_ROW = 18;
const LEGEND_COLUMNS = 3;
/** Colours of Okabe and Ito: told apart by colour-blind readers, visible on white and on black. */
const COLOURS = ["#0072b2", "#009e73", "#cc79a7", "#d55e00", "#e69f00", "#56b4e9"];
const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .heading { font-size: 14px; font-weight: 600 }
.grid { stroke: #8b949e; stroke-opacity: 0.35 } .axis { stroke: #8b949e }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }`;

/** @param {{ heading: string, xLabel: string, ticks: readonly number[], panels: readonly Panel[] }} plot */
export function linePlot({ heading, xLabel, ticks, panels }) {
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  const colourOf = (/** @type {string} */ name) => COLOURS[names.indexOf(name) % COLOURS.length];
  const width = PANEL.width * panels.length;
  const height = PANEL.height + 16 + LEGEND_ROW * Math.ceil(names.length / LEGEND_COLUMNS);
  const body = panels.map((panel, i) => drawPanel(panel, { offset: i * PANEL.width, xLabel, ticks, colourOf }));
  const lines = names.map((name) => panels.flatMap((panel) => panel.lines).find((line) => line.name === name));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(heading)}</title><style>${STYLE}</style>`,
    text(width / 2, 20, heading, "middle", "heading"),
    ...body,
    ...lines.map((line, i) => (line ? drawLegend(line, i, width, colourOf(line.name)) : "")),
    "</svg>\n",
  ].join("\n");
}

/** @param {Panel} panel @param {{ offset: number, xLabel: string, ticks: readonly number[], colourOf: (name: string) => string }} frame */
function drawPanel({ title, yLabel, lines }, { offset, xLabel, ticks, colourOf }) {
  const { left, right, top, bottom, width, height } = PANEL;
  const highest = Math.max(1, ...lines.flatMap(({ points }) => points.map(({ y, max }) => max ?? y)));
  const step = niceStep(highest / 5);
  const yTop = Math.ceil(highest / step) * step;
  const xSpan = (ticks.at(-1) ?? 1) * 1.03;
  const x = (/** @type {number} */ value) => offset + left + (value / xSpan) * (width - left - right);
  const y = (/** @type {number} */ value) => height - bottom - (value / yTop) * (height - top - bottom);
  const parts = [text(offset + left, top - 12, `${title}, ${yLabel}`, "start", "title")];
  for (let value = 0; value <= yTop; value += step) {
    parts.push(stroke("grid", x(0), y(value), x(xSpan), y(value)), text(x(0) - 6, y(value) + 4, String(value), "end"));
  }
  parts.push(stroke("axis", x(0), y(0), x(xSpan), y(0)), stroke("axis", x(0), y(0), x(0), y(yTop)));
  for (const tick of ticks) parts.push(stroke("axis", x(tick), y(0), x(tick), y(0) + 4), text(x(tick), y(0) + 17, String(tick), "middle"));
  parts.push(text(x(xSpan / 2), height - 10, xLabel, "middle"));
  for (const line of lines) parts.push(drawLine(line, colourOf(line.name), x, y));
  return parts.join("\n");
}

/** @param {Line} line @param {string} colour @param {(value: number) => number} x @param {(value: number) => number} y */
function drawLine({ points, dashed }, colour, x, y) {
  const path = points.map((point) => `${px(x(point.x))},${px(y(point.y))}`).join(" ");
  const marks = points.map((point) => {
    const { x: at, y: value, min = value, max = value } = point;
    return `<path d="M${px(x(at))} ${px(y(min))}V${px(y(max))}"/><circle cx="${px(x(at))}" cy="${px(y(value))}" r="3" fill="${colour}"/>`;
  });
  const dash = dashed ? ' stroke-dasharray="5 4"' : "";
  return `<g stroke="${colour}" stroke-width="2" fill="none"><polyline points="${path}"${dash}/>${marks.join("")}</g>`;
}

/** @param {Line} line @param {number} index @param {number} width @param {string} colour */
function drawLegend({ name, dashed }, index, width, colour) {
  const x = PANEL.left + (index % LEGEND_COLUMNS) * ((width - PANEL.left) / LEGEND_COLUMNS);
  const y = PANEL.height + 16 + LEGEND_ROW * Math.floor(index / LEGEND_COLUMNS);
  const dash = dashed ? ' stroke-dasharray="5 4"' : "";
  return `<path d="M${px(x)} ${y - 4}h24" stroke="${colour}" stroke-width="2"${dash}/>${text(x + 30, y, name, "start")}`;
}

/** 1, 2 or 5 times a power of ten, not below `least`. @param {number} least */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}

/** @param {string} kind @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function stroke(kind, x1, y1, x2, y2) {
  return `<path class="${kind}" d="M${px(x1)} ${px(y1)}L${px(x2)} ${px(y2)}"/>`;
}

/** @param {number} x @param {number} y @param {string} content @param {string} anchor @param {string} [kind] */
function text(x, y, content, anchor, kind) {
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}"${kind ? ` class="${kind}"` : ""}>${escape(content)}</text>`;
}

/** @param {number} value */
function px(value) {
  return Number(value.toFixed(1));
}

/** @param {string} content */
function escape(content) {
  return content.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
