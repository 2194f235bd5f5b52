/** `weir chat [MODEL]`: a conversation on the terminal, or over pipes: a line in, an answer out. */
import { createInterface, type Interface } from "node:readline";
import type { ChatMessage, Engine, GenerateOptions } from "@weir/core";
import { WeirError } from "@weir/core";
import type { Command } from "../command.js";
import { ENGINE_FLAGS, ISOLATE_FLAG } from "../engine-flags.js";
import { describeError } from "../errors.js";
import { SAMPLING_FLAGS, samplingOptions } from "../sampling-flags.js";
import { describeEngine, describeRun } from "../summary.js";
import { withEngine } from "../with-engine.js";

export const chat: Command = {
  usage: "weir chat [MODEL]",
  about: "A conversation. Ctrl-C stops an answer, not the program; /clear starts over; /exit or Ctrl-D leaves.",
  flags: { system: { kind: "string", value: "TEXT", about: "the system message" }, ...SAMPLING_FLAGS, ...ENGINE_FLAGS, ...ISOLATE_FLAG },
  maxPositionals: 1,
  run: (flags) =>
    withEngine(
      flags,
      { model: flags.positionals[0], needs: "chatTemplate", defaults: () => ({ quantize: "auto" }) },
      async (engine, model) => {
        // An answer may always take what is left of the context.
        const { maxTokens: _, ...modelOptions } = model.generationConfig ?? {};
        const options = { temperature: 0.8, topP: 0.95, ...modelOptions, ...samplingOptions(flags) };
        await warmUp(engine, options);
        process.stderr.write(`${describeEngine(engine)}\nCtrl-C stops an answer; /clear starts over; /exit or Ctrl-D leaves.\n`);
        await new Conversation(engine, options, flags.string("system")).run();
        return 0;
      },
    ),
};

/** A request left at its first token: the first answer comes faster, and bad options are refused before anyone types. */
async function warmUp(engine: Engine, options: GenerateOptions): Promise<void> {
  for await (const event of engine.generate([0], options)) if (event.type === "token") return;
}

class Conversation {
  readonly #engine: Engine;
  readonly #options: GenerateOptions;
  readonly #opening: readonly ChatMessage[];
  readonly #terminal: Interface;
  readonly #interactive: boolean = process.stdin.isTTY === true;
  #messages: ChatMessage[];
  #answering: AbortController | undefined;
  #interrupts = 0;

  constructor(engine: Engine, options: GenerateOptions, system: string | undefined) {
    this.#engine = engine;
    this.#options = options;
    this.#opening = system === undefined ? [] : [{ role: "system", content: system }];
    this.#messages = [...this.#opening];
    this.#terminal = createInterface({ input: process.stdin, ...(this.#interactive ? { output: process.stdout, prompt: "> " } : {}) });
  }

  async run(): Promise<void> {
    const interrupt = (): void => this.#interrupt();
    // On a terminal readline reads the key itself; a signal from elsewhere means the same.
    this.#terminal.on("SIGINT", interrupt);
    process.on("SIGINT", interrupt);
    try {
      this.#ask();
      for await (const line of this.#terminal) {
        this.#interrupts = 0;
        if (line.trim() === "/exit") return;
        await this.#take(line);
        this.#ask();
      }
    } finally {
      process.removeListener("SIGINT", interrupt);
      this.#terminal.close();
    }
  }

  /** Stops an answer; between answers the second one in a row leaves. */
  #interrupt(): void {
    if (this.#answering) return this.#answering.abort();
    if (++this.#interrupts > 1 || !this.#interactive) return this.#terminal.close();
    // Ctrl-U: what was typed so far goes.
    this.#terminal.write(null, { ctrl: true, name: "u" });
    process.stderr.write("\n[/exit or Ctrl-D leaves; so does Ctrl-C again]\n");
    this.#ask();
  }

  #ask(): void {
    if (!this.#interactive) return;
    // Not part of the prompt, which readline would redraw over the line above.
    process.stdout.write("\n");
    this.#terminal.prompt();
  }

  async #take(line: string): Promise<void> {
    if (line.trim() === "/clear") this.#messages = [...this.#opening];
    else if (line.trim() !== "") await this.#answer({ role: "user", content: line });
  }

  async #answer(question: ChatMessage): Promise<void> {
    this.#answering = new AbortController();
    let text = "";
    try {
      const options = { ...this.#options, signal: this.#answering.signal };
      for await (const event of this.#engine.chat([...this.#messages, question], options)) {
        if (event.type !== "token" && event.type !== "request-end") continue;
        text += event.text;
        process.stdout.write(event.text);
        if (event.type === "request-end") note(describeRun(event));
      }
    } catch (error) {
      if (!this.#answering.signal.aborted && !WeirError.isInstance(error)) throw error;
      note(this.#answering.signal.aborted ? "stopped" : refusal(error));
      // A refused question leaves the conversation as it was.
      if (!this.#answering.signal.aborted) return;
    } finally {
      this.#answering = undefined;
    }
    this.#messages.push(question, { role: "assistant", content: text });
  }
}

function note(text: string): void {
  process.stdout.write("\n");
  process.stderr.write(`[${text}]\n`);
}

function refusal(error: unknown): string {
  const line = describeError(error, []);
  return WeirError.isInstance(error) && error.code === "context_length" ? `${line}; /clear starts over` : line;
}
