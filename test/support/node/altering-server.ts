// A server in front of the real one that changes what passes through it, as a wrong rule, proxy or setting would: the doctor's patients.
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { originOf } from "../../../scripts/local.ts";
import type { Credentials } from "./certificate.ts";
import { freePort } from "./server.ts";

/** What a client asked, as it came in. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface Given {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface Faults {
  /** Changes what goes to the real server. */
  readonly asks?: (asked: Asked) => Asked;
  /** Answers in its place. */
  readonly instead?: (asked: Asked) => Given | undefined;
  /** Changes what comes back. */
  readonly gives?: (given: Given, asked: Asked) => Given;
}

export interface StandIn {
  readonly origin: string;
  /** Everything that was asked so far. */
  readonly asked: readonly Asked[];
  readonly close: () => Promise<void>;
}

/** Headers of the connection rather than of the message. */
const HOP = [
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "content-encoding",
  "host",
  "accept-encoding",
];

/** Stands on a port of its own, over TLS with a certificate; the real server's origin reads as that everywhere. */
export async function startStandIn(realOrigin: string, faults: Faults = {}, tls?: Credentials): Promise<StandIn> {
  const port = await freePort();
  const origin = tls === undefined ? originOf(port) : originOf(port).replace("http:", "https:");
  const asked: Asked[] = [];
  const renamed = (text: string, from: string, to: string): string =>
    text.replaceAll(from, to).replaceAll(encodeURIComponent(from), encodeURIComponent(to));
  const pass = async (one: Asked): Promise<Given> => {
    const headers = [...one.headers].filter(([name]) => !HOP.includes(name));
    const response = await fetch(realOrigin + renamed(one.path, origin, realOrigin), {
      method: one.method,
      headers: headers.map(([name, value]): [string, string] => [name, renamed(value, origin, realOrigin)]),
      redirect: "manual",
      ...(one.body === "" ? {} : { body: renamed(one.body, origin, realOrigin) }),
    });
    const back = [...response.headers].filter(([name]) => !HOP.includes(name));
    return {
      status: response.status,
      headers: new Headers(back.map(([name, value]): [string, string] => [name, renamed(value, realOrigin, origin)])),
      text: renamed(await response.text(), realOrigin, origin),
    };
  };
  const answer = async (incoming: IncomingMessage): Promise<Given> => {
    const one = await read(incoming);
    asked.push(one);
    const instead = faults.instead?.(one);
    if (instead !== undefined) return instead;
    const given = await pass(faults.asks?.(one) ?? one);
    return faults.gives?.(given, one) ?? given;
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
