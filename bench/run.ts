// `npm run bench`: measures every subject under plain workerd, in interleaved rounds. Prints tables and writes them to results.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { initializeBody, call, runRound } from "./client.ts";
import type { Method, Target } from "./client.ts";
import { reportOf } from "./report.ts";
import type { Figures, Measurement, Memory } from "./report.ts";
import { startAll } from "./servers.ts";
import type { Server } from "./servers.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 5);
const ROUND_MS = Number(process.env["ROUND_MS"] ?? 1500);
const IDLE_SESSIONS = 1000;
const REST_MS = 15_000;
const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const PARAMS = { "tools/call": { name: "echo_3", arguments: { text: "hello" } }, "tools/list": {}, open: {} };

interface Contender {
  readonly label: string;
  readonly server: Server;
  readonly target: Target;
}

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-"));
const servers = new Map<string, Server>();

try {
  await startAll(servers, dir);
  const memory = [await measureMemory(serverOf("gatehouse")), await measureMemory(serverOf("session-agent"))];
  const contenders = [...(await createSessions()), ...createStateless(), createBare()];
  const measurements: Measurement[] = [];
  for (const method of ["tools/call", "tools/list", "open"] as const) {
    for (const concurrency of [1, 32])
      measurements.push({ method, concurrency, figures: await measure(contenders, method, concurrency) });
  }
  const text = reportOf({ rounds: ROUNDS, roundMs: ROUND_MS, measurements, servers: [...servers.values()], memory });
  console.log(text);
  writeFileSync(path.join(import.meta.dirname, "results.md"), text);
} finally {
  for (const server of servers.values()) server.stop();
  rmSync(dir, { recursive: true, force: true });
}

function serverOf(name: string): Server {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`No server is named ${name}.`);
  return server;
}

/** Opens a session on each server that has sessions, and adds the Durable Object echo as the lower bound. */
async function createSessions(): Promise<Contender[]> {
  const agent = new Agent();
  const open = async ({ port }: Server): Promise<Record<string, string>> => {
    const { session } = await call(agent, port, {}, initializeBody(1));
    const headers = { "mcp-session-id": session ?? "", "mcp-protocol-version": "2025-11-25" };
    await call(agent, port, headers, JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }));
    return headers;
  };
  const body: Target["body"] = (method, id) =>
    method === "open" ? initializeBody(id) : JSON.stringify({ jsonrpc: "2.0", id, method, params: PARAMS[method] });
  const contender = async (label: string, server: Server): Promise<Contender> => ({
    label,
    server,
    target: { port: server.port, headersOf: constant(await open(server)), body },
  });
  const echo = serverOf("bare-object");
  const contenders = [
    await contender("Gatehouse, session", serverOf("gatehouse")),
    await contender("session agent", serverOf("session-agent")),
    { label: "bare object echo", server: echo, target: { port: echo.port, headersOf: constant({}), body } },
  ];
  agent.destroy();
  return contenders;
}

/** Returns the same headers for every request, but without the session id for the request that opens a session. */
function constant({ "mcp-session-id": session, ...headers }: Record<string, string>): Target["headersOf"] {
  return (method) => (method === "open" || session === undefined ? headers : { ...headers, "mcp-session-id": session });
}

function createStateless(): Contender[] {
  const nameOf = (method: Method): string => (method === "open" ? "server/discover" : method);
  const body: Target["body"] = (method, id) =>
    JSON.stringify({ jsonrpc: "2.0", id, method: nameOf(method), params: { ...PARAMS[method], _meta: ENVELOPE } });
  const headersOf: Target["headersOf"] = (method) => ({
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": nameOf(method),
    ...(method === "tools/call" ? { "mcp-name": PARAMS[method].name } : {}),
  });
  const contender = (label: string, server: Server): Contender => ({
    label,
    server,
    target: { port: server.port, headersOf, body },
  });
  return [contender("Gatehouse, 2026", serverOf("gatehouse")), contender("stateless handler", serverOf("stateless"))];
}

function createBare(): Contender {
  const server = serverOf("bare");
  const body: Target["body"] = (_method, id) =>
    JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: PARAMS["tools/call"] });
  return { label: "bare Worker echo", server, target: { port: server.port, headersOf: constant({}), body } };
}

/** Measures all contenders in turn in every round. The first round is a warm-up and is not counted. */
async function measure(
  contenders: readonly Contender[],
  method: Method,
  concurrency: number,
): Promise<Map<string, Figures>> {
  const figures = new Map(contenders.map(({ label }): [string, Figures] => [label, { rounds: [], cpuSeconds: 0 }]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const { label, server, target } of contenders) {
      const cpuBefore = server.cpuSeconds();
      const result = await runRound(target, method, concurrency, ROUND_MS);
      const figure = figures.get(label);
      if (round === 0 || figure === undefined) continue;
      figure.rounds.push(result);
      figure.cpuSeconds += server.cpuSeconds() - cpuBefore;
    }
  }
  return figures;
}

/** Measures the resident memory of open sessions: at once, and after a rest in which Durable Objects may be evicted. */
async function measureMemory(server: Server): Promise<Memory> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const bytesBefore = server.residentBytes();
  let opened = 0;
  const openSessions = async (): Promise<void> => {
    while ((opened += 1) <= IDLE_SESSIONS) await call(agent, server.port, {}, initializeBody(opened));
  };
  await Promise.all(Array.from({ length: 32 }, openSessions));
  const openBytes = server.residentBytes() - bytesBefore;
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  agent.destroy();
  return {
    name: server.name,
    sessions: IDLE_SESSIONS,
    openBytes,
    restMs: REST_MS,
    restedBytes: server.residentBytes() - bytesBefore,
  };
}
