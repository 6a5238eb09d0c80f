// A proxy in front of the real local server that alters requests and answers, as a wrong rule, proxy or setting would. The doctor's tests
// use it.
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { originOf } from "../../../cli/local-server/local.ts";
import type { Credentials } from "./certificate.ts";
import { freePort } from "./server.ts";

/** A client's request as it arrived. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** An answer to a client. */
export interface Given {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** How the proxy alters the traffic. */
export interface Faults {
  /** Changes a request on its way to the real server. */
  readonly asks?: (asked: Asked) => Asked;
  /** Answers in the real server's place; undefined lets the request through. */
  readonly instead?: (asked: Asked) => Given | undefined;
  /** Changes an answer of the real server. */
  readonly gives?: (given: Given, asked: Asked) => Given;
}

export interface StandIn {
  readonly origin: string;
  /** Every request so far. */
  readonly asked: readonly Asked[];
  readonly close: () => Promise<void>;
}

/** Headers of the connection, which a proxy does not forward. */
const HOP = [
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "content-encoding",
  "host",
  "accept-encoding",
];

/** Starts a proxy on a free port, over TLS when it gets a certificate. It replaces the real server's origin with its own everywhere. */
export async function startStandIn(realOrigin: string, faults: Faults = {}, tls?: Credentials): Promise<StandIn> {
  const port = await freePort();
  const origin = tls === undefined ? originOf(port) : originOf(port).replace("http:", "https:");
  const asked: Asked[] = [];
  const renamed = (text: string, from: string, to: string): string =>
    text.replaceAll(from, to).replaceAll(encodeURIComponent(from), encodeURIComponent(to));
  const forward = async (request: Asked): Promise<Given> => {
    const headers = [...request.headers].filter(([name]) => !HOP.includes(name));
    const response = await fetch(realOrigin + renamed(request.path, origin, realOrigin), {
      method: request.method,
      headers: headers.map(([name, value]): [string, string] => [name, renamed(value, origin, realOrigin)]),
      redirect: "manual",
      ...(request.body === "" ? {} : { body: renamed(request.body, origin, realOrigin) }),
    });
    const back = [...response.headers].filter(([name]) => !HOP.includes(name));
    return {
      status: response.status,
      headers: new Headers(back.map(([name, value]): [string, string] => [name, renamed(value, realOrigin, origin)])),
      text: renamed(await response.text(), realOrigin, origin),
    };
  };
  const answer = async (incoming: IncomingMessage): Promise<Given> => {
    const request = await read(incoming);
    asked.push(request);
    const instead = faults.instead?.(request);
    if (instead !== undefined) return instead;
    const given = await forward(faults.asks?.(request) ?? request);
    return faults.gives?.(given, request) ?? given;
  };
  const listener: RequestListener = (incoming, outgoing) => {
    answer(incoming).then(
      ({ status, headers, text }) => outgoing.writeHead(status, Object.fromEntries(headers)).end(text),
      (error: unknown) => outgoing.writeHead(502).end(String(error)),
    );
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(port, "localhost", resolve));
  return {
    origin,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function read(incoming: IncomingMessage): Promise<Asked> {
  let body = "";
  for await (const chunk of incoming.setEncoding("utf8")) body += String(chunk);
  const headers = new Headers(
    Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]),
  );
  return { method: incoming.method ?? "GET", path: incoming.url ?? "/", headers, body };
}
