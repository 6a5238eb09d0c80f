// The lifecycle of a session's server: built from the store when a message needs it, removed from memory while every call
// waits for the user. It knows nothing of HTTP or access control.
import type { McpServer } from "@modelcontextprotocol/server";
import { newId } from "../../lib/ids.ts";
import { Exchange } from "./request-exchange.ts";
import type { ExchangeDependencies } from "./request-exchange.ts";
import { ServerInstance } from "./server-instance.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import type { ServerRequest, StoredSession } from "./session-store.ts";
import { createStoredCalls } from "./stored-calls.ts";
import type { StoredCalls } from "./stored-calls.ts";
import type { ResourceSubscriptions } from "./resource-subscriptions.ts";

/** The dependencies of a server lifecycle. */
interface ServerLifecycleOptions {
  readonly sessionId: string;
  readonly exchange: ExchangeDependencies;
  /** Builds a new server with everything registered. */
  readonly createServer: () => McpServer;
  readonly subscriptions: ResourceSubscriptions;
  /** How long the server stays in memory while all its calls wait for the user. */
  readonly hibernateAfterMs: number;
  /** Keeps the object in memory until the work is done. */
  readonly waitUntil: (work: Promise<void>) => void;
  readonly onError: (error: unknown) => void;
}

/** Starts, restores and hibernates the server of one session. */
export class ServerLifecycle {
  readonly #options: ServerLifecycleOptions;
  /** The server from the moment it starts to build, so that concurrent requests share it. */
  #starting: Promise<ServerInstance> | undefined;
  /** The server once it is built. */
  #running: ServerInstance | undefined;
  #hibernateTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ServerLifecycleOptions) {
    this.#options = options;
  }

  /** Returns the server in memory, or restores it. Stored calls then run, wait for an answer, or have ended. */
  async ensureRunning(session: StoredSession, caller: SessionCaller): Promise<ServerInstance> {
    this.#starting ??= this.#restore(session, caller);
    try {
      return await this.#starting;
    } catch (error) {
      this.#clearInstance();
      throw error;
    }
  }

  /** Resumes stored calls after a restart, or ends them. Restores the server only if a call can resume. */
  async recoverCalls(session: StoredSession, caller: SessionCaller): Promise<void> {
    if (this.#starting !== undefined) return;
    if (this.openStoredCalls().canResume()) await this.ensureRunning(session, caller);
    else this.openStoredCalls().endInterrupted();
  }

  /** Builds a server for a session that does not exist yet. */
  async createInstance(): Promise<ServerInstance> {
    const { sessionId, exchange, createServer, onError, subscriptions } = this.#options;
    const instance = new ServerInstance({
      sessionId,
      store: exchange.store,
      streams: exchange.streams,
      server: createServer(),
      newId,
      onError,
      subscriptions,
      onChange: () => this.#scheduleHibernation(),
    });
    await instance.connect();
    return instance;
  }

  /** Makes an instance the session's server. */
  adopt(instance: ServerInstance): void {
    this.#starting = Promise.resolve(instance);
    this.#running = instance;
  }

  /** Gives access to the stored calls. */
  openStoredCalls(): StoredCalls {
    const { exchange } = this.#options;
    return createStoredCalls(
      exchange.store,
      (stream, requests, caller) => new Exchange(requests, false, caller, exchange, stream),
    );
  }

  /** Ends the call that waits for the answer to a server request, whether it is in memory or stored. */
  endWaitingCall(serverRequest: ServerRequest, message: string): void {
    if (this.#running?.isRunning(serverRequest.stream) === true)
      this.#running.endCall(serverRequest.requestId, message);
    else this.openStoredCalls().endWaitingCall(serverRequest, message);
  }

  /** Summarises the calls in memory and in the store. A stored call that asked nothing was interrupted, so it does not count. */
  activity(): "running" | "asking" | "none" {
    if (this.#starting !== undefined && this.#running === undefined) return "running";
    if (this.#running?.isIdle() === false) return this.#running.isAwaitingUserOnly() ? "asking" : "running";
    return this.openStoredCalls().hasAsking() ? "asking" : "none";
  }

  /** Removes the server from memory. */
  async hibernate(): Promise<void> {
    const stopping = this.#running;
    this.#clearInstance();
    await stopping?.close();
  }

  async #restore(session: StoredSession, caller: SessionCaller): Promise<ServerInstance> {
    const instance = await this.createInstance();
    await instance.restore(session, caller);
    this.#running = instance;
    this.openStoredCalls().endInterrupted();
    this.openStoredCalls().resume(instance, caller);
    return instance;
  }

  /** Removes the server from memory when all calls wait for the user, so that the object can hibernate. */
  #scheduleHibernation(): void {
    clearTimeout(this.#hibernateTimer);
    if (this.#running?.isAwaitingUserOnly() !== true) return;
    this.#hibernateTimer = setTimeout(() => {
      if (this.#running?.isAwaitingUserOnly() === true) this.#options.waitUntil(this.hibernate());
    }, this.#options.hibernateAfterMs);
  }

  #clearInstance(): void {
    clearTimeout(this.#hibernateTimer);
    this.#starting = undefined;
    this.#running = undefined;
  }
}
