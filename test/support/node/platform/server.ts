// A fake of Cloudflare's API on a loopback port. It keeps one account in memory, records requests, refuses what the real API would
// refuse, and can fail at a chosen request.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ACCOUNT, Refusal, createAccount } from "./account.ts";
import type { Account } from "./account.ts";
import { accountPath, answerOf } from "./api.ts";

export const TOKEN = "token-of-the-stand-in";

/**
 * What goes wrong with a request that changes something:
 * - `refused`: answered with an error, and not done;
 * - `busy`: too many requests, `broken`: a fault of the platform; neither is done;
 * - `brokenAfter`: done, but answered as a fault;
 * - `cut`: done, but the connection is closed instead of an answer;
 * - `lost`: the same, and not done;
 * - `late`: the same, and done only when later requests have arrived.
 */
export type FaultKind = "refused" | "busy" | "broken" | "brokenAfter" | "cut" | "lost" | "late";

export interface Fault {
  /** Whether the fault happens at this request. Asked only for requests that change something. */
  readonly isAt: (change: string) => boolean;
  readonly kind: FaultKind;
  /** How many requests arrive before a late one is done; 1 unless given. */
  readonly lateBy?: number;
  /** Called before the connection is closed. */
  readonly onCut?: () => void;
}

const DONE_FIRST: readonly FaultKind[] = ["cut", "brokenAfter"];
const CLOSED: readonly FaultKind[] = ["cut", "lost", "late"];
const REFUSALS: Readonly<Partial<Record<FaultKind, Refusal>>> = {
  refused: new Refusal(400, 10500, "told to fail"),
  busy: new Refusal(429, 971, "Please wait and consider throttling your request speed"),
  broken: new Refusal(500, 7500, "internal error"),
  brokenAfter: new Refusal(500, 7500, "internal error"),
};

export interface StandIn {
  readonly url: string;
  readonly account: Account;
  /** Requests that changed something, in order, as method and path below the account: `POST /d1/database`. */
  readonly changes: readonly string[];
  /** Refused requests, each with its reason. */
  readonly refusals: readonly string[];
  fail: (fault: Fault | undefined) => void;
  /** Clears the recorded requests. */
  forget: () => void;
  close: () => Promise<void>;
}

export async function startPlatform(
  { subdomain }: { readonly subdomain?: string } = { subdomain: "acme" },
): Promise<StandIn> {
  const account = createAccount(subdomain);
  const changes: string[] = [];
  const refusals: string[] = [];
  let fault: Fault | undefined;

  const late: { requestsLeft: number; readonly work: () => Promise<unknown> }[] = [];
  const doLate = async (): Promise<void> => {
    for (const request of late) request.requestsLeft -= 1;
    const due = late.filter(({ requestsLeft }) => requestsLeft <= 0);
    late.splice(0, late.length, ...late.filter((request) => !due.includes(request)));
    // A late request may fail: nobody waits for its answer.
    for (const { work } of due) await work().catch((error: unknown) => refusals.push(`late: ${String(error)}`));
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://localhost");
    const method = request.method ?? "GET";
    const body = await bodyOf(request);
    await doLate();
    const path = accountPath(pathname);
    const isChange = method !== "GET" && !isReading(path ?? "", body);
    const requestLine = `${method} ${path ?? pathname}`;
    if (isChange) changes.push(requestLine);
    const failing = isChange && fault?.isAt(requestLine) === true ? fault : undefined;
    const contentType = request.headers["content-type"] ?? "";
    const work = async (): Promise<unknown> =>
      path === undefined ? topLevel(method, pathname) : answerOf(account, { method, path, query, body, contentType });
    try {
      if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Refusal(403, 10000, "Authentication error");
      if (failing !== undefined) {
        if (DONE_FIRST.includes(failing.kind)) await work();
        if (failing.kind === "late") late.push({ requestsLeft: failing.lateBy ?? 1, work });
        if (!CLOSED.includes(failing.kind))
          throw REFUSALS[failing.kind] ?? new TypeError(`no refusal for ${failing.kind}`);
        failing.onCut?.();
        return void response.destroy();
      }
      send(response, 200, { success: true, errors: [], messages: [], result: await work() });
    } catch (error) {
      const { status, code, message } = error instanceof Refusal ? error : new Refusal(400, 1, String(error));
      if (code !== 10007) refusals.push(`${requestLine}: ${message}`);
      send(response, status, { success: false, errors: [{ code, message }], messages: [], result: null });
    }
  };

  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    account,
    changes,
    refusals,
    fail: (next) => (fault = next),
    forget: () => void (changes.splice(0), refusals.splice(0)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Whether a POST only reads: a SELECT, or a dry run of a change of domains. */
function isReading(path: string, body: Buffer): boolean {
  if (path.endsWith("/domains/changeset")) return true;
  return path.endsWith("/query") && /^\s*(?:SELECT|PRAGMA|WITH)\b/i.test(String(JSON.parse(body.toString()).sql));
}

function topLevel(method: string, pathname: string): unknown {
  if (method === "GET" && pathname === "/accounts") return [{ id: ACCOUNT, name: "Acme" }];
  throw new Refusal(404, 7000, `No route for that URI: ${method} ${pathname}`);
}

function send(response: ServerResponse, status: number, body: object): void {
  const retry = status === 429 ? { "Retry-After": "0" } : {};
  response.writeHead(status, { "Content-Type": "application/json", ...retry }).end(JSON.stringify(body));
}
