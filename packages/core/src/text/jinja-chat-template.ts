/**
 * JinjaChatTemplate: a Hugging Face chat template over @huggingface/jinja.
 * In: messages, tools, variables. Out: the text exactly as transformers renders it, and where message content landed.
 * The spans come from a second rendering with marked contents; see `content-marks.ts`. Called by the engine's chat().
 */
import { Template } from "@huggingface/jinja";
import type { ChatMessage, ChatTemplate, RenderedChat, RenderOptions } from "../contracts/index.js";
import { InvalidRequestError, ModelLoadError } from "../errors/index.js";
import { locateContents } from "./content-marks.js";

export interface ChatTemplateOptions {
  /** `bos_token` and the like: variables of the template. */
  readonly specialTokens?: Readonly<Record<string, string>>;
  /** Renders the same template on another thread. */
  readonly offThread?: NonNullable<ChatTemplate["renderOffThread"]>;
}

/** What callers may not set through `variables`. */
const RESERVED = ["messages", "tools", "add_generation_prompt"];
const MAX_TEMPLATE_LENGTH = 1_000_000;
/** Roles stand outside of any content, so they may not carry markup. */
const ROLE = /^[\w-]{1,64}$/;

export class JinjaChatTemplate implements ChatTemplate {
  readonly renderOffThread?: NonNullable<ChatTemplate["renderOffThread"]>;
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /** @throws ModelLoadError when the template is not valid Jinja */
  constructor(source: string, options: ChatTemplateOptions = {}) {
    if (source.length > MAX_TEMPLATE_LENGTH) {
      throw new ModelLoadError(`the chat template has ${source.length} characters; the limit is ${MAX_TEMPLATE_LENGTH}`);
    }
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new ModelLoadError(`the chat template cannot be parsed: ${(cause as Error).message.slice(0, 200)}`, { cause });
    }
    this.#specialTokens = options.specialTokens ?? {};
    if (options.offThread) this.renderOffThread = options.offThread;
  }

  render(messages: readonly ChatMessage[], options: RenderOptions = {}): RenderedChat {
    checkMessages(messages);
    checkVariables(options.variables ?? {});
    const { addGenerationPrompt = true, tools, variables } = options;
    const render = (input: readonly ChatMessage[], inputTools: readonly unknown[] | undefined): string =>
      this.#render({
        ...this.#specialTokens,
        ...variables,
        messages: input,
        tools: inputTools ?? null,
        add_generation_prompt: addGenerationPrompt,
      });
    const text = render(messages, tools);
    return { text, contentSpans: locateContents(text, messages, tools, render) };
  }

  #render(variables: Record<string, unknown>): string {
    try {
      return this.#template.render(variables);
    } catch (cause) {
      throw new InvalidRequestError(`the chat template refused the messages: ${(cause as Error).message.slice(0, 300)}`, { cause });
    }
  }
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (messages.length === 0) throw new InvalidRequestError("messages is empty; at least one is needed");
  messages.forEach(({ role, content }, index) => {
    if (typeof role !== "string" || !ROLE.test(role)) {
      const seen = JSON.stringify(role)?.slice(0, 60) ?? "missing";
      throw new InvalidRequestError(`messages[${index}].role is ${seen}; it must be 1 to 64 letters, digits, _ or -`);
    }
    if (typeof content !== "string") {
      throw new InvalidRequestError(`messages[${index}].content is ${content === null ? "null" : typeof content}; it must be a string`);
    }
  });
}

function checkVariables(variables: Readonly<Record<string, unknown>>): void {
  const bad = RESERVED.find((name) => Object.hasOwn(variables, name));
  if (bad !== undefined) throw new InvalidRequestError(`the template variable ${bad} cannot be set; pass ${bad} itself`);
}
