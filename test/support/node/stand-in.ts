// A server on loopback that fakes another party's server, and records what was wrong with the requests that it received.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A running fake. */
export interface StandIn {
  readonly url: string;
  /** What was wrong with requests. Tests of valid flows expect none. */
  readonly faults: string[];
  /** Answers that replace the fake's, by path. */
  readonly instead: Map<string, Response>;
  close(): void;
}

/** Answers a request. `fault` records what is wrong with the request, and answers 400. */
export type Answer = (request: Request, fault: (text: string) => Response) => Promise<Response>;

/** Starts a server that answers with `answer` until it is closed. */
export async function startStandIn(answer: Answer): Promise<StandIn> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => void respond().catch((error: unknown) => outgoing.destroy(error as Error)));
    const respond = async (): Promise<void> => {
      const { method = "GET", url = "/" } = incoming;
      const headers = new Headers(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
      const body = method === "GET" ? null : Buffer.concat(chunks);
      const request = new Request(new URL(url, standIn.url), { method, headers, body });
      const fault = (text: string): Response => {
        standIn.faults.push(`${method} ${new URL(request.url).pathname}: ${text}`);
        return new Response(null, { status: 400 });
      };
      const instead = standIn.instead.get(new URL(request.url).pathname)?.clone();
      const response = instead ?? (await answer(request, fault));
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    };
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const standIn: StandIn = {
    url: `http://127.0.0.1:${port}`,
    faults: [],
    instead: new Map(),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return standIn;
}
