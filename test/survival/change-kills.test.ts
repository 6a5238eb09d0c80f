// Kills the real server with SIGKILL while people approve changes and undos. After the restart each change is applied whole and audited, or
// not applied at all, and its state says which. CHANGE_KILLS sets how often; `CHANGE_KILLS=500` takes about an hour.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createBrowser } from "../support/forms.ts";
import type { Browser } from "../support/forms.ts";
import { tokensFor } from "../support/oauth.ts";
import { postToolCall } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const KILLS = Number(process.env["CHANGE_KILLS"] ?? "2");
const CHANGES_PER_KILL = 4;
/** The latest moment of a kill after the approvals were sent, in milliseconds. */
const MAX_DELAY_MS = 150;
const SUPPORT = "support@harbor.example";
const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-kills-"));
let port = 0;
let server: WorkerProcess;
let accessToken = "";
let browser: Browser;

const url = (pathname: string): string => `http://localhost:${port}${pathname}`;

async function callTool(name: string, args: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const response = await postToolCall(url(""), accessToken, { name, arguments: args });
  const { result } = (await response.json()) as { result: { structuredContent: Record<string, unknown> } };
  return result.structuredContent;
}

async function readRows(sql: string): Promise<readonly (readonly unknown[])[]> {
  const answer = await callTool("query", { source: "shop", sql, limit: 500 });
  return answer["rows"] as readonly (readonly unknown[])[];
}

/** Sends an approval. The server may be killed before it answers. */
async function approve(change: string): Promise<void> {
  const page = await browser.open(url(`/changes/${change}`));
  approvals.push(browser.press(page, "decision", "approve").catch(() => undefined));
}
let approvals: Promise<unknown>[] = [];

async function restart(): Promise<void> {
  await server.stop("SIGKILL");
  await Promise.all(approvals.splice(0));
  server = await startServer(port, stateDir);
}

/** Waits until a change is neither approved nor being applied. */
async function readFinalState(change: string): Promise<string> {
  const endMs = Date.now() + 60_000;
  for (;;) {
    const { metadata } = await callTool("fetch", { id: change });
    const { state } = metadata as { state: string };
    if (state !== "approved" && state !== "applying") return state;
    if (Date.now() > endMs) throw new Error(`the change ${change} stays ${state}`);
  }
}

beforeAll(async () => {
  port = await freePort();
  server = await startServer(port, stateDir);
  const flow = { origin: url(""), send: fetch };
  accessToken = (await tokensFor(flow, SUPPORT)).accessToken;
  browser = createBrowser(fetch);
  await browser.press(await browser.open(url("/sign-in")), "account", SUPPORT);
}, 120_000);

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

/** Kills the server while these changes are approved, and returns the final state of each. */
async function approveAndKill(changes: readonly string[], round: number): Promise<readonly string[]> {
  for (const change of changes) await approve(change);
  // Spread over the rounds, so that kills come at every step.
  await new Promise((resolve) => setTimeout(resolve, (MAX_DELAY_MS * (round % 10)) / 10));
  await restart();
  return Promise.all(changes.map(readFinalState));
}

it("leaves each change applied whole or not at all when the server is killed during approvals and undos", async () => {
  const ids = (await readRows("SELECT id FROM tickets WHERE priority = 'normal' ORDER BY id LIMIT 40")).map(
    ([id]) => id,
  );
  const appliedAtOnce = { changes: 0, undos: 0 };
  for (let round = 0; round < KILLS; round += 1) {
    const tickets = ids.slice((round % 8) * CHANGES_PER_KILL, (round % 8) * CHANGES_PER_KILL + CHANGES_PER_KILL);
    const propose = async (id: unknown): Promise<string> => {
      const values = { priority: "high", closed_at: `2026-07-01 10:00:${String(round % 60).padStart(2, "0")}` };
      const change = { dataset: "shop.tickets", action: "update", where: { id }, values, reason: "A kill." };
      return String((await callTool("change", change))["change"]);
    };
    const changes = [];
    for (const id of tickets) changes.push(await propose(id));
    const states = await approveAndKill(changes, round);
    const readTickets = async () =>
      new Map(
        (await readRows(`SELECT id, priority, closed_at FROM tickets WHERE id IN (${tickets.join(", ")})`)).map(
          ([id, priority, closedAt]) => [id, `${String(priority)} ${String(closedAt)}`],
        ),
      );
    const rows = await readTickets();
    const undos: string[] = [];
    for (const [index, state] of states.entries()) {
      const isChanged = rows.get(tickets[index])?.startsWith("high 2026-07-01") ?? false;
      expect(["applied", "proposed"]).toContain(state);
      expect(isChanged, `change ${changes[index]} is ${state}`).toBe(state === "applied");
      if (state === "applied")
        undos.push(String((await callTool("undo", { change: changes[index], reason: "Back." }))["change"]));
    }
    const undoStates = await approveAndKill(undos, round + 3);
    appliedAtOnce.changes += undos.length;
    appliedAtOnce.undos += undoStates.filter((state) => state === "applied").length;
    // What was not undone because its approval was lost is approved again.
    for (const [index, state] of undoStates.entries())
      if (state === "proposed") {
        await approve(undos[index] ?? "");
        await Promise.all(approvals.splice(0));
        expect(await readFinalState(undos[index] ?? "")).toBe("applied");
      }
    for (const text of (await readTickets()).values()) expect(text).toMatch(/^normal /);
  }
  // Otherwise the kills have tested nothing.
  expect(appliedAtOnce.changes + appliedAtOnce.undos).toBeGreaterThan(0);
}, 3_600_000);
