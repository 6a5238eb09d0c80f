// Tests `npm run member -- remove <email>` beside a running server and without one: it shows what a user has, and ends all of it.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { queryShop } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { statusAtMcp, tokensFor } from "../support/oauth.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const REVIEWER = "reviewer@harbor.example";
const GUEST = "guest@harbor.example";

const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-removal-"));
let port: number;
let server: WorkerProcess;

beforeAll(async () => {
  port = await freePort();
  server = await startServer(port, stateDir);
});

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

async function run(script: "member" | "token", ...args: readonly string[]) {
  const env = { ...process.env, GATEHOUSE_STATE: stateDir };
  const child = spawn(process.execPath, ["cli/main.ts", script, ...args], { cwd: ROOT, env, stdio: "pipe" });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: Number(status), lines: stdout.trim().split("\n"), stderr };
}

/** Reads GATEHOUSE_DB behind the server's back. */
function readRemovals(): readonly Record<string, unknown>[] {
  const folder = path.join(stateDir, "v3/d1");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".sqlite"));
  return files.flatMap((file) => {
    const database = new DatabaseSync(path.join(folder, file), { timeout: 5000 });
    const isOwn = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'member_removal'").get() !== undefined;
    const rows = isOwn
      ? database.prepare("SELECT * FROM member_removal WHERE kind = 'removal' ORDER BY requested_ms").all()
      : [];
    database.close();
    return rows;
  });
}

const queryStatus = async (token: string): Promise<number> => {
  const response = await queryShop(server.origin, token, "SELECT id FROM customers LIMIT 1");
  await response.body?.cancel();
  return response.status;
};

it("shows what a user has, ends nothing until it is confirmed, then ends all of it and records that", async () => {
  const flow = { origin: server.origin, send: fetch };
  const first = await tokensFor(flow, REVIEWER);
  const second = await tokensFor(flow, REVIEWER);
  expect(await queryStatus(first.accessToken)).toBe(200);
  expect(await statusAtMcp(flow, second.accessToken)).toBe(200);
  const created = await run("token", "create", "ci", "--owner", REVIEWER, "--role", "analyst");
  const pat = created.lines.at(-1) ?? "";
  expect(await queryStatus(pat)).toBe(200);
  await run("member", "add", REVIEWER, "owner");

  const held = "2 connections (Test client, Test client), 1 personal access token (ci), 1 session, 2 results";
  const shown = [`The members table gives ${REVIEWER} the role owner.`, `${REVIEWER} has ${held}.`];
  const policyWarning = `warning: The policy file still gives ${REVIEWER} the role analyst, the role refund-reviewer. Remove that in the policy file.`;
  expect((await run("member", "remove", REVIEWER, "--dry-run")).lines).toEqual([...shown, policyWarning]);
  const unconfirmed = await run("member", "remove", REVIEWER);
  expect(unconfirmed.status).toBe(1);
  expect(unconfirmed.stderr).toContain(shown.join("\n"));
  expect(unconfirmed.stderr).toContain("run the command again with --yes");
  for (const token of [first.accessToken, second.accessToken, pat]) expect(await queryStatus(token)).toBe(200);

  const removed = await run("member", "remove", REVIEWER, "--yes");
  expect(removed.lines).toEqual([
    `${REVIEWER} is not in the members table.`,
    "All roles and attributes in the members table were removed.",
    `Ended ${held.replace("2 results", "5 results")}.`,
    policyWarning,
    "The change takes effect with the next request.",
  ]);
  for (const token of [first.accessToken, second.accessToken, pat]) expect(await queryStatus(token)).toBe(401);
  expect(readRemovals()).toMatchObject([
    { email: REVIEWER, requested_by: "operator", done_ms: expect.any(Number), browser_sessions: 0 },
  ]);

  const again = await tokensFor(flow, REVIEWER);
  expect(await queryStatus(again.accessToken)).toBe(200);
  expect((await run("member", "remove", REVIEWER, "--dry-run")).lines[1]).toBe(
    `${REVIEWER} has 1 connection (Test client), 1 result.`,
  );
}, 180_000);

it("ends what GATEHOUSE_DB knows while no server runs, and the rest when it runs again", async () => {
  const flow = { origin: server.origin, send: fetch };
  // A sign-in that has made no call yet.
  const { accessToken } = await tokensFor(flow, GUEST);
  const created = await run("token", "create", "backup", "--owner", GUEST, "--role", "analyst");
  expect(created.status).toBe(0);
  await server.stop("SIGTERM");
  const shown = await run("member", "remove", GUEST, "--dry-run");
  expect(shown.lines.slice(1, 3)).toEqual([
    `${GUEST} has 1 personal access token (backup).`,
    "The server does not answer, so this lacks connections, sessions, results and pending work.",
  ]);
  const removed = await run("member", "remove", GUEST, "--yes");
  expect(removed.lines.slice(1, 3)).toEqual([
    "Ended 1 personal access token (backup).",
    "Still to end: connections, sessions, results and pending work.",
  ]);
  expect(removed.lines.at(-1)).toContain("the change takes effect when npm start runs again.");
  expect(readRemovals().at(-1)).toMatchObject({ email: GUEST, done_ms: null });
  server = await startServer(port, stateDir);
  expect(await queryStatus(accessToken)).toBe(401);
  expect(await queryStatus(created.lines.at(-1) ?? "")).toBe(401);
  expect(readRemovals().at(-1)).toMatchObject({ email: GUEST, done_ms: expect.any(Number) });
}, 180_000);

it("refuses --dry-run with a role, and changes nothing for a user who never signed in", async () => {
  const withRole = await run("member", "remove", REVIEWER, "analyst", "--dry-run");
  expect([withRole.status, withRole.stderr]).toEqual([2, expect.stringContaining("--dry-run goes without a role.")]);
  const unknown = await run("member", "remove", "never@x.example");
  expect(unknown.lines).toEqual(["never@x.example is not in the members table, so nothing was changed."]);
}, 60_000);
