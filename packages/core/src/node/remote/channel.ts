/**
 * Channel: typed messages over a duplex pipe. In: messages to send; bytes from the other end. Out: frames; checked
 * messages. It knows framing and nothing of what messages mean. Used by both ends.
 */
import type { Socket } from "node:net";
import { encodeFrame, FrameReader } from "./frames.js";

export interface ChannelHandlers<In> {
  /** Checks a parsed message. @throws ProtocolError */
  readonly check: (value: unknown) => In;
  readonly onMessage: (message: In) => void;
  /** The other end wrote what the protocol does not know. Nothing is read afterwards. */
  readonly onBroken: (error: unknown) => void;
  /** The other end is gone. Called once. */
  readonly onClosed: () => void;
}

export class Channel<Out, In> {
  readonly #socket: Socket;
  #broken = false;

  constructor(socket: Socket, { check, onMessage, onBroken, onClosed }: ChannelHandlers<In>) {
    this.#socket = socket;
    const reader = new FrameReader((value) => {
      if (!this.#broken) onMessage(check(value));
    });
    socket.on("data", (piece: Buffer) => {
      if (this.#broken) return;
      try {
        reader.push(piece);
      } catch (error) {
        this.#broken = true;
        onBroken(error);
      }
    });
    // A reset or broken pipe: "close" follows, and says the same.
    socket.on("error", () => {});
    socket.once("close", onClosed);
  }

  get isClosed(): boolean {
    return this.#socket.closed;
  }

  /** Lost in silence when the other end is gone: its end is told by `onClosed`. */
  send(message: Out): void {
    if (!this.#socket.writable) return;
    this.#socket.write(encodeFrame(message));
  }

  /** Resolves when what was sent has left, or cannot. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#socket.writable) return resolve();
      this.#socket.once("close", () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  destroy(): void {
    this.#broken = true;
    this.#socket.destroy();
  }

  /** Whether an idle channel keeps the process alive. */
  keepAlive(alive: boolean): void {
    if (alive) this.#socket.ref();
    else this.#socket.unref();
  }
}
