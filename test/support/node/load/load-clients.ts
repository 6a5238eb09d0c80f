// The clients of a load: real ones of both SDKs, several for each user, which make calls and note how each of them ended.
import { setTimeout as delay } from "node:timers/promises";
import { connectWith } from "../clients.ts";
import type { ClientKind, TestClient } from "../clients.ts";
import { TestAuth } from "../sign-in.ts";

/** A call, as its client saw it. Times are milliseconds of `performance.now()`. */
export interface LoadCall {
  readonly email: string;
  /** How the audit record names it. */
  readonly operation: string;
  readonly asked: string;
  readonly beganMs: number;
  readonly endedMs: number;
  /** `answered`, an error code of the server, or `cut` when no answer came. */
  readonly outcome: string;
  /** What the client was told instead of an answer. */
  readonly message: string;
}

/** A connected client of one user. */
interface LoadClient {
  readonly email: string;
  /** Part of the texts by which records are matched with calls. */
  readonly name: string;
  readonly client: TestClient;
}

/** How many users and clients there are. */
export interface LoadSize {
  readonly emails: readonly string[];
  /** The sessions of each user. */
  readonly sessions: number;
}

/** Clients open their streams again for as long as a restart takes, and tell a slow answer from a lost one. */
const PATIENCE = {
  reconnection: {
    initialReconnectionDelay: 500,
    maxReconnectionDelay: 5000,
    reconnectionDelayGrowFactor: 1.5,
    maxRetries: 1000,
  },
  timeout: 280_000,
};
/** How many users sign in and connect at the same time. */
const CONNECTING = 8;
const READ_ERROR = "error: ";
const CODE = /^([a-z]+(?:_[a-z]+)*): /;
const CUT = "cut";

/** Signs every user in, and connects their clients: by turns one of the 2025 era and one of the 2026 revision. */
export async function connectAll(origin: string, { emails, sessions }: LoadSize): Promise<readonly LoadClient[]> {
  const clients: LoadClient[] = [];
  const waiting = emails.map((email, index) => ({ email, index }));
  const connectNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { email, index } = next;
      const auth = new TestAuth(email);
      for (let count = 0; count < sessions; count += 1) {
        const kind: ClientKind = count % 2 === 0 ? "sdk v1" : "sdk v2, 2026";
        const client = await connectWith(kind, `${origin}/mcp`, auth, PATIENCE);
        clients.push({ email, name: `m${index}x${count}`, client });
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTING }, connectNext));
  return clients;
}

/** Has every client make calls with pauses until the signal comes. Returns all calls once the last one has ended. */
export async function makeCalls(
  clients: readonly LoadClient[],
  pauseMs: number,
  signal: AbortSignal,
  calls: LoadCall[],
): Promise<void> {
  const work = async (client: LoadClient): Promise<void> => {
    // The first calls are spread, as the later ones are.
    await pause(Math.random() * pauseMs, signal);
    for (let number = 0; !signal.aborted; number += 1) {
      calls.push(await makeCall(client, number));
      await pause((0.5 + Math.random()) * pauseMs, signal);
    }
  };
  await Promise.all(clients.map(work));
}

/** Waits, but not longer than until the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** The calls of a client by turns. `asked` is the text of the record. */
function planCall(name: string, number: number) {
  // A column name cannot be hidden as a literal is, and makes each statement another one.
  const sql = `SELECT count(*) AS ${name}x${number} FROM orders WHERE id > ${number}`;
  const row = (number % 2000) + 1;
  const uri = `gatehouse://dataset/shop/customers/${row}`;
  const plans = [
    { operation: "query", asked: `shop: ${sql.replace(/\d+$/, "?")}`, args: { source: "shop", sql } },
    { operation: "search", asked: `refund ${name}x${number}`, args: { query: `refund ${name}x${number}` } },
    { operation: "fetch", asked: `shop.customers/${row}`, args: { id: `shop.customers/${row}` } },
    { operation: "query", asked: `ops: ${sql.replace(/FROM.*/, "FROM stock")}`, args: opsQuery(name, number) },
    { operation: "describe", asked: "shop.customers", args: { dataset: "shop.customers" } },
    { operation: "read resource", asked: uri, args: { uri } },
  ] as const;
  return plans[number % plans.length] ?? plans[0];
}

const opsQuery = (name: string, number: number) => ({
  source: "ops",
  sql: `SELECT count(*) AS ${name}x${number} FROM stock`,
});

async function makeCall({ email, name, client }: LoadClient, number: number): Promise<LoadCall> {
  const { operation, asked, args } = planCall(name, number);
  const beganMs = performance.now();
  const end = (outcome: string, message: string): LoadCall => ({
    email,
    operation,
    asked,
    beganMs,
    endedMs: performance.now(),
    outcome,
    message,
  });
  try {
    const { isError, text } =
      "uri" in args ? await readUri(client, args.uri) : await client.call(operation, { ...args });
    return isError ? end(CODE.exec(text)?.[1] ?? CUT, text) : end("answered", "");
  } catch (error) {
    return end(CUT, String(error));
  }
}

/** A resource that was not read has its error as text. */
async function readUri(client: TestClient, uri: string): Promise<{ readonly isError: boolean; readonly text: string }> {
  const text = await client.read(uri);
  return text.startsWith(READ_ERROR)
    ? { isError: true, text: text.slice(READ_ERROR.length) }
    : { isError: false, text };
}
