// A fake of Cloudflare's API on a loopback port. It keeps one account in memory, records requests, refuses what the real API would
// refuse, and can fail at a chosen request.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ACCOUNT, Refusal, createAccount } from "./account.ts";
import type { Account } from "./account.ts";
import { accountPath, answerOf } from "./api.ts";

export const TOKEN = "token-of-the-stand-in";

export interface Fault {
  /** Whether the fault happens at this request. Asked only for requests that change something. */
  readonly isAt: (change: string) => boolean;
  /** `refused`: answered with an error and not done. `cut`: done, but `onCut` is called and the connection closed instead of an answer. */
  readonly kind: "refused" | "cut";
  readonly onCut?: () => void;
}

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

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://localhost");
    const method = request.method ?? "GET";
    const body = await bodyOf(request);
    const path = accountPath(pathname);
    const isChange = method !== "GET" && !isReading(path ?? "", body);
    const requestLine = `${method} ${path ?? pathname}`;
    if (isChange) changes.push(requestLine);
    const isAtFault = isChange && fault?.isAt(requestLine) === true;
    try {
      if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Refusal(403, 10000, "Authentication error");
      if (isAtFault && fault?.kind === "refused") throw new Refusal(400, 10500, "told to fail");
      const contentType = request.headers["content-type"] ?? "";
      const result =
        path === undefined
          ? topLevel(method, pathname)
          : await answerOf(account, { method, path, query, body, contentType });
      if (isAtFault) {
        fault?.onCut?.();
        return void response.destroy();
      }
      send(response, 200, { success: true, errors: [], messages: [], result });
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
  return path.endsWith("/query") && /^\s*(?:SELECT|PRAGMA)\b/i.test(String(JSON.parse(body.toString()).sql));
}

function topLevel(method: string, pathname: string): unknown {
  if (method === "GET" && pathname === "/accounts") return [{ id: ACCOUNT, name: "Acme" }];
  throw new Refusal(404, 7000, `No route for that URI: ${method} ${pathname}`);
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
