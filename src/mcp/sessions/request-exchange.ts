// One POST with requests. It starts in memory, to be answered as JSON. If the server sends a message before the result, or
// the answer takes long, it becomes a stream whose calls and events are stored. It ends when every request has its response.
import type { JSONRPCNotification, JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../../lib/answer-grants.ts";
import type { SignInState } from "../../lib/sign-in-state.ts";
import type { JSONRPCResponse } from "./posted-messages.ts";
import { withInvalidParams } from "../wire/invalid-params.ts";
import { createLivePass } from "./session-protocol.ts";
import type { SessionReply } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import { getMessageGrants, getResponseGrants } from "./stream-replays.ts";
import type { EventGrants } from "./stream-replays.ts";
import type { SessionStore } from "./session-store.ts";
import type { Streams } from "./streams.ts";

/** The dependencies of an exchange. */
export interface ExchangeDependencies {
  readonly store: SessionStore;
  readonly streams: Streams;
  /** Runs writes atomically. */
  readonly transaction: <T>(work: () => T) => T;
  /** Returns the sequence number of the newest event. */
  readonly lastSeq: () => number;
  /** Size of one message on a stream, in UTF-16 units. */
  readonly maxMessageBytes: number;
}

/** The requests of one POST and their responses. */
export class Exchange {
  readonly caller: SessionCaller;
  /** Resolves once, with the JSON answer or with the stream to attach to. */
  readonly reply: Promise<SessionReply>;
  readonly #pendingRequests: Map<RequestId, JSONRPCRequest>;
  readonly #isBatch: boolean;
  readonly #dependencies: ExchangeDependencies;
  readonly #responses: { readonly response: JSONRPCResponse; readonly grants: EventGrants }[] = [];
  /** The grants that the calls of each request recorded. */
  readonly #grantsByRequest = new Map<RequestId, AnswerGrants[]>();
  #resolveReply: (reply: SessionReply) => void = () => {};
  #stream: number | undefined;
  #hasBegun = false;

  /** `stream` is set for calls that an earlier exchange stored before a restart. */
  constructor(
    requests: readonly JSONRPCRequest[],
    isBatch: boolean,
    caller: SessionCaller,
    dependencies: ExchangeDependencies,
    stream?: number,
  ) {
    this.caller = caller;
    this.#pendingRequests = new Map(requests.map((request) => [request.id, request]));
    this.#isBatch = isBatch;
    this.#dependencies = dependencies;
    this.#stream = stream;
    this.reply = new Promise((resolve) => (this.#resolveReply = resolve));
  }

  get stream(): number | undefined {
    return this.#stream;
  }

  /** The ids of the requests that have no response yet. */
  get pendingIds(): readonly RequestId[] {
    return [...this.#pendingRequests.keys()];
  }

  has(id: RequestId): boolean {
    return this.#pendingRequests.has(id);
  }

  /** Records grants that contribute to the response of a request. */
  addGrants(id: RequestId, grants: AnswerGrants): void {
    this.#grantsByRequest.set(id, [...this.#listGrants(id), grants]);
  }

  /** Notes the state of the sign-in for a call. One that has ended is the answer to all requests, unless they are a stream already. */
  noteSignIn(state: SignInState): void {
    if (state === "current") this.#hasBegun = true;
    else this.#resolveReply({ kind: "signed_out" });
  }

  /** Accepts the server's response to one of the requests. */
  respond(id: RequestId, serverResponse: JSONRPCResponse): void {
    const request = this.#pendingRequests.get(id);
    if (request === undefined) return;
    const response = withInvalidParams(request, serverResponse);
    this.#pendingRequests.delete(id);
    const grants = getResponseGrants(request.method, response, this.#listGrants(id));
    if (this.#stream === undefined) {
      this.#responses.push({ response, grants });
      if (this.#pendingRequests.size === 0) this.#resolveReply(this.#buildReply());
      return;
    }
    const stream = this.#stream;
    const { store, streams, transaction } = this.#dependencies;
    transaction(() => {
      store.removeCall(stream, id);
      streams.emit(stream, this.#limitResponse(id, response), grants);
    });
    if (this.#pendingRequests.size === 0) streams.close(stream);
  }

  /** Sends a message that belongs to one of the requests, before its response. Drops a message that is too large. */
  emit(message: JSONRPCRequest | JSONRPCNotification, relatedRequestId: RequestId): void {
    const text = JSON.stringify(message);
    const stream = this.openStream();
    const { maxMessageBytes, streams } = this.#dependencies;
    if (text.length <= maxMessageBytes)
      streams.emit(stream, text, getMessageGrants(message, this.#listGrants(relatedRequestId)));
  }

  /** Turns the exchange into a stream unless it is one already. Stores its pending calls first. Returns the stream's number. */
  openStream(): number {
    if (this.#stream !== undefined) return this.#stream;
    const { store, streams, transaction, lastSeq } = this.#dependencies;
    const afterSeq = lastSeq();
    const stream = transaction(() => {
      const createdStream = store.createStream();
      for (const [id, message] of this.#pendingRequests)
        store.addCall({ stream: createdStream, message, caller: this.caller }, id);
      for (const { response, grants } of this.#responses) streams.emit(createdStream, JSON.stringify(response), grants);
      return createdStream;
    });
    this.#stream = stream;
    this.#resolveReply({ kind: "stream", stream, afterSeq, pass: createLivePass(afterSeq) });
    return stream;
  }

  /** Ends an exchange whose server was closed. A client that waits for JSON gets 404; a stream can resume from the store. */
  abandon(): void {
    this.#resolveReply({ kind: "gone" });
  }

  #buildReply(): SessionReply {
    const responses = this.#responses.map(({ response }) => response);
    const body = JSON.stringify(this.#isBatch ? responses : responses[0]);
    return { kind: "answer", body, hasBegun: this.#hasBegun };
  }

  #listGrants(id: RequestId): readonly AnswerGrants[] {
    return this.#grantsByRequest.get(id) ?? [];
  }

  /** Replaces a response that is too large for the event log with an error. */
  #limitResponse(id: RequestId, response: JSONRPCResponse): string {
    const text = JSON.stringify(response);
    const { maxMessageBytes } = this.#dependencies;
    if (text.length <= maxMessageBytes) return text;
    const message = `The result is larger than ${maxMessageBytes} bytes. Request less data.`;
    return JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32000, message } });
  }
}
