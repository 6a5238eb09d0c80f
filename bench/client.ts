// The load generator: sends requests as a client of each kind does, over kept-alive connections, in rounds of a fixed time.
import { Agent, request as send } from "node:http";

/** `open` is the first request of a client of that era: initialize or server/discover. */
export type Method = "tools/call" | "tools/list" | "open";

/** The server to send to, and the requests to send. */
export interface Target {
  readonly port: number;
  /** The headers of the concurrent client with this number. */
  readonly headersOf: (method: Method, client: number) => Readonly<Record<string, string>>;
  readonly body: (method: Method, id: number) => string;
}

/** The measurements of a round. */
export interface Round {
  readonly requests: number;
  readonly seconds: number;
  /** Milliseconds of each request, sorted. */
  readonly latencies: readonly number[];
}

/** Headers of every request. */
export const JSON_HEADERS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

/** The body of an initialize request. */
export function initializeBody(id: number): string {
  return JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
  });
}

/** Sends one request and returns the answer as text. Rejects on a status other than 200 and 202, and on a JSON-RPC error. */
export async function call(
  agent: Agent,
  port: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ text: string; session: string | undefined }> {
  return new Promise((resolve, reject) => {
    const outgoing = send(
      {
        host: "127.0.0.1",
        port,
        path: "/mcp",
        method: "POST",
        agent,
        headers: { ...JSON_HEADERS, ...headers, "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          const session = response.headers["mcp-session-id"];
          if (response.statusCode === 200 && !text.includes('"error"'))
            resolve({ text, session: typeof session === "string" ? session : undefined });
          else if (response.statusCode === 202) resolve({ text, session: undefined });
          else reject(new Error(`${response.statusCode} ${text}`));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Sends requests from `concurrency` clients for `forMs` milliseconds. */
export async function runRound(target: Target, method: Method, concurrency: number, forMs: number): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const latencies: number[] = [];
  const startedMs = performance.now();
  let id = 1;
  const runClient = async (_value: unknown, client: number): Promise<void> => {
    const headers = target.headersOf(method, client);
    while (performance.now() - startedMs < forMs) {
      const sentMs = performance.now();
      await call(agent, target.port, headers, target.body(method, (id += 1)));
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: concurrency }).map(runClient));
  const seconds = (performance.now() - startedMs) / 1000;
  agent.destroy();
  return { requests: latencies.length, seconds, latencies: latencies.toSorted((a, b) => a - b) };
}
