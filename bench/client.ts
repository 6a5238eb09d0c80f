// The load: requests as a client of each kind sends them, over kept connections, in bounded rounds.
import { Agent, request as send } from "node:http";

/** `open` is what a client of that era sends first: initialize, or server/discover. */
export type Method = "tools/call" | "tools/list" | "open";

export interface Target {
  readonly port: number;
  /** Of the client with this number: so many of them send at a time. */
  readonly headersOf: (method: Method, client: number) => Readonly<Record<string, string>>;
  readonly body: (method: Method, id: number) => string;
}

export interface Round {
  readonly requests: number;
  readonly seconds: number;
  /** Milliseconds of each request, sorted. */
  readonly latencies: readonly number[];
}

export const JSON_HEADERS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

export function initializeBody(id: number): string {
  return JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
  });
}

/** One request; the whole answer as text. Throws when the status is not 200 or the answer is an error. */
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

/** Sends for so many milliseconds with so many at a time. */
export async function runRound(target: Target, method: Method, concurrency: number, forMs: number): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const latencies: number[] = [];
  const began = performance.now();
  let id = 1;
  const one = async (_value: unknown, client: number): Promise<void> => {
    const headers = target.headersOf(method, client);
    while (performance.now() - began < forMs) {
      const sent = performance.now();
      await call(agent, target.port, headers, target.body(method, (id += 1)));
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: concurrency }).map(one));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  return { requests: latencies.length, seconds, latencies: latencies.toSorted((a, b) => a - b) };
}
