// One POST with requests: first in memory, waiting to be answered as JSON; from the first message before the result, or
// after a short while, as a stream whose calls and events are stored. It ends when each request has its response.
import type { JSONRPCNotification, JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../lib/answer-grants.ts";
import type { JSONRPCResponse } from "./messages.ts";
import { withInvalidParams } from "../mcp/invalid-params.ts";
import { liveAfter } from "./protocol.ts";
import type { SessionReply } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";
import { grantsOfMessage, grantsOfResponse } from "./replays.ts";
import type { EventGrants } from "./replays.ts";
import type { SessionStore } from "./store.ts";
import type { Streams } from "./streams.ts";

export interface ExchangeDependencies {
  readonly store: SessionStore;
  readonly streams: Streams;
  /** Runs writes so that all of them hold or none. */
  readonly transaction: <T>(work: () => T) => T;
  readonly lastSeq: () => number;
  readonly maxMessageBytes: number;
}

export class Exchange {
  readonly caller: SessionCaller;
  /** Settles once: with the JSON answer, or with the stream to attach to. */
  readonly reply: Promise<SessionReply>;
  readonly #waiting: Map<RequestId, JSONRPCRequest>;
  readonly #isBatch: boolean;
  readonly #dependencies: ExchangeDependencies;
  readonly #responses: { readonly response: JSONRPCResponse; readonly grants: EventGrants }[] = [];
  /** By request, what the calls that answer it noted of their grants. */
  readonly #noted = new Map<RequestId, AnswerGrants[]>();
  #settle: (reply: SessionReply) => void = () => {};
  #stream: number | undefined;

  /** `stream` is given for calls that were stored by an exchange which memory has lost. */
  constructor(
    requests: readonly JSONRPCRequest[],
    isBatch: boolean,
    caller: SessionCaller,
    dependencies: ExchangeDependencies,
    stream?: number,
  ) {
    this.caller = caller;
    this.#waiting = new Map(requests.map((request) => [request.id, request]));
    this.#isBatch = isBatch;
    this.#dependencies = dependencies;
    this.#stream = stream;
    this.reply = new Promise((resolve) => (this.#settle = resolve));
  }

  get stream(): number | undefined {
    return this.#stream;
  }

  /** The ids of the requests that have no response yet. */
  get waiting(): readonly RequestId[] {
    return [...this.#waiting.keys()];
  }

  has(id: RequestId): boolean {
    return this.#waiting.has(id);
  }

  /** Notes under which grants a request is being answered. */
  note(id: RequestId, grants: AnswerGrants): void {
    this.#noted.set(id, [...this.#notedBy(id), grants]);
  }

  /** Takes the response to one of the requests. */
  respond(id: RequestId, answered: JSONRPCResponse): void {
    const request = this.#waiting.get(id);
    if (request === undefined) return;
    const response = withInvalidParams(request, answered);
    this.#waiting.delete(id);
    const grants = grantsOfResponse(request.method, response, this.#notedBy(id));
    if (this.#stream === undefined) {
      this.#responses.push({ response, grants });
      if (this.#waiting.size === 0) this.#settle({ kind: "answer", body: this.#answer() });
      return;
    }
    const stream = this.#stream;
    const { store, streams, transaction } = this.#dependencies;
    transaction(() => {
      store.removeCall(stream, id);
      streams.emit(stream, this.#bounded(id, response), grants);
    });
    if (this.#waiting.size === 0) streams.close(stream);
  }

  /** Sends a message that belongs to one of the requests, before its response. */
  emit(message: JSONRPCRequest | JSONRPCNotification, related: RequestId): void {
    const text = JSON.stringify(message);
    const stream = this.openStream();
    const { maxMessageBytes, streams } = this.#dependencies;
    if (text.length <= maxMessageBytes) streams.emit(stream, text, grantsOfMessage(message, this.#notedBy(related)));
  }

  /** Goes over to a stream, unless it did before: what is still to be answered is stored first. */
  openStream(): number {
    if (this.#stream !== undefined) return this.#stream;
    const { store, streams, transaction, lastSeq } = this.#dependencies;
    const after = lastSeq();
    const stream = transaction(() => {
      const created = store.newStream();
      for (const [id, message] of this.#waiting) store.addCall({ stream: created, message, caller: this.caller }, id);
      for (const { response, grants } of this.#responses) streams.emit(created, JSON.stringify(response), grants);
      return created;
    });
    this.#stream = stream;
    this.#settle({ kind: "stream", stream, after, pass: liveAfter(after) });
    return stream;
  }

  /** The server that was to answer is gone. Whoever waits for JSON is told so; a stream goes on from the store. */
  abandon(): void {
    this.#settle({ kind: "gone" });
  }

  #answer(): string {
    const responses = this.#responses.map(({ response }) => response);
    return JSON.stringify(this.#isBatch ? responses : responses[0]);
  }

  #notedBy(id: RequestId): readonly AnswerGrants[] {
    return this.#noted.get(id) ?? [];
  }

  /** A response that the event log cannot hold says so instead. */
  #bounded(id: RequestId, response: JSONRPCResponse): string {
    const text = JSON.stringify(response);
    const { maxMessageBytes } = this.#dependencies;
    if (text.length <= maxMessageBytes) return text;
    const message = `The result is larger than ${maxMessageBytes} bytes. Ask for less.`;
    return JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32000, message } });
  }
}
