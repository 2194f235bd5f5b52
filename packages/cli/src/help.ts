/** The texts of `weir --help` and `weir COMMAND --help`. */
import type { Command } from "./command.js";

export const HELP = `weir: an embeddable LLM serving engine

  weir run [MODEL] [-p TEXT]        stream a completion to the terminal, timings at the end
  weir chat [MODEL]                 talk to a model; Ctrl-C stops the answer, /exit leaves
  weir generate [MODEL] (-p TEXT | --prompt-ids 1,2,3) --json
                                    one completion as one JSON object
  weir inspect [MODEL] [--json]     what a model is, and what it needs in memory
  weir bench throughput [MODEL]     measure prefill and decode rates
  weir doctor                       what each backend found on this machine

MODEL is a folder in Hugging Face form, random:llama-1.1b or random:qwen2.5-0.5b
(shapes with seeded random weights, for benchmarks); with none, the demo model.

weir COMMAND --help lists a command's options; weir --version prints the version.
`;

export function commandHelp({ usage, about, flags }: Command): string {
  const rows = Object.entries(flags).map(([name, { short, value, about: text }]): [string, string] => {
    const names = `${short === undefined ? "" : `-${short}, `}--${name}`;
    return [value === undefined ? names : `${names} ${value}`, text];
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const options = rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
  return `${usage}\n\n${about}\n\n${options.join("\n")}\n`;
}
