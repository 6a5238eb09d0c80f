// A change of data with the programs that people use, and a real Chromium: Claude Code and the Inspector propose it, their user approves it
// on its page while the client waits, the row in the database changes, and an undo restores it. The model of Claude Code is played. The
// server is one of its own, because other files watch the tickets of the common one.
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { signInAt, useBrowser } from "../support/node/browser.ts";
import { createClaudeCode, fetchClaudeCode } from "../support/node/claude-code.ts";
import { createInspector } from "../support/node/inspector.ts";
import { startPlayedModel } from "../support/node/played-model.ts";
import { freePort, startServer } from "../support/node/server.ts";
import { openStoredChanges } from "../support/node/stored-changes.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";

const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-clients-"));
const stored = openStoredChanges(stateDir, () => false);
const browser = useBrowser();
const SUPPORT = "support@harbor.example";
const TOOLS = ["change", "undo", "fetch"] as const;
let server: WorkerProcess;
let accessToken = "";
/** Why Claude Code is missing on this machine; never set in CI. */
let missing: string | undefined;

beforeAll(async () => {
  missing = await fetchClaudeCode();
  server = await startServer(await freePort(), stateDir);
  accessToken = (await tokensFor({ origin: server.origin, send: fetch }, SUPPORT)).accessToken;
}, 300_000);

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

type Answer = Readonly<Record<string, unknown>>;

/** A connected program. */
interface ProgramClient {
  /** Calls a tool, and returns its structured result. Throws if it is an error. */
  call(tool: (typeof TOOLS)[number], args: Answer): Promise<Answer>;
  /** Ends the program's work as its user would. */
  finish(): Promise<void>;
}

/** What ends the processes and servers of a test, also when it has failed. */
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).toReversed()) await cleanUp();
});

/** Connects Claude Code and has its model load the tools, which it knows by name only. */
async function openClaudeCode(): Promise<ProgramClient> {
  const claude = createClaudeCode();
  cleanups.push(() => claude.remove());
  const header = `Authorization: Bearer ${accessToken}`;
  const url = `${server.origin}/mcp`;
  await claude.run("mcp", "add", "--scope", "user", "--transport", "http", "gatehouse", url, "--header", header);
  const model = await startPlayedModel();
  cleanups.push(() => model.close());
  const names = TOOLS.map((tool) => `mcp__gatehouse__${tool}`);
  const session = claude.ask("Close the ticket.", model, names);
  cleanups.push(() => session.stop());
  const early = session.answer.then((output) => {
    throw new Error(`Claude Code ended before the model's turn did:\n${output}`);
  });
  const callModelTool = async (name: string, args: Answer): Promise<string> => {
    const { isError, text } = await Promise.race([model.callTool(name, args), early]);
    if (isError) throw new Error(`${name}: ${text}`);
    return text;
  };
  await callModelTool("ToolSearch", { query: `select:${names.join(",")}` });
  return {
    call: async (tool, args) => JSON.parse(await callModelTool(`mcp__gatehouse__${tool}`, args)),
    async finish() {
      await model.endTurn("The ticket is open again.");
      expect(await session.answer).toBe("The ticket is open again.\n");
      expect(model.faults).toEqual([]);
    },
  };
}

function openInspector(): ProgramClient {
  const inspector = createInspector(`${server.origin}/mcp`, accessToken);
  return {
    async call(tool, args) {
      const { isError, structuredContent, content } = await inspector.call(tool, args);
      if (isError === true) throw new Error(`${tool}: ${JSON.stringify(content)}`);
      return structuredContent as Answer;
    },
    async finish() {},
  };
}

type Row = Readonly<Record<string, unknown>>;

/** Reads a row, with each value as its type and bytes. */
function readTicket(id: number): Row {
  const columns = stored.readRows("SELECT name FROM pragma_table_info('tickets')").map(({ name }) => String(name));
  const values = ["rowid", ...columns].map((name) => `typeof("${name}") || ' ' || hex("${name}") AS "${name}"`);
  const [row = {}] = stored.readRows(`SELECT ${values.join(", ")} FROM tickets WHERE id = ?`, id);
  return row;
}

/** The first open ticket of the support agent's region. */
function findOpenTicket(): number {
  const [row] = stored.readRows("SELECT min(id) AS id FROM tickets WHERE region = 'north' AND status = 'open'");
  return Number(row?.["id"]);
}

/** How SQLite stores a text, as `readTicket` returns it. */
const storedText = (text: string): string => `text ${Buffer.from(text).toString("hex").toUpperCase()}`;

/** Opens the page of a change from its link, checks that it is the one with this reason, and approves it. */
async function approve(page: Page, { url }: Answer, reason: string): Promise<void> {
  await page.goto(String(url));
  expect(await page.locator("main").innerText()).toContain(reason);
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { name: "What was changed" }).waitFor();
}

/** Proposes a change, has it approved, and takes it back in the same way. */
async function changeAndUndo(client: ProgramClient, page: Page): Promise<void> {
  const id = findOpenTicket();
  const before = readTicket(id);
  const reason = `The customer of ticket ${id} has the label.`;
  const closing = {
    dataset: "shop.tickets",
    action: "update",
    where: { id },
    values: { status: "closed", closed_at: "2026-06-30 12:00:00" },
    reason,
    key: randomUUID(),
  };
  const proposed = await client.call("change", closing);
  const { change } = proposed;
  expect(proposed).toMatchObject({ state: "proposed", rows: 1, url: `${server.origin}/changes/${String(change)}` });
  expect(await client.call("change", closing)).toMatchObject({ change, state: "proposed" });
  expect(readTicket(id)).toEqual(before);

  await approve(page, proposed, reason);
  expect(await client.call("change", closing)).toMatchObject({ change, state: "applied" });
  const closed = { ...before, status: storedText("closed"), closed_at: storedText("2026-06-30 12:00:00") };
  expect(readTicket(id)).toEqual(closed);

  const mistake = `It was not ticket ${id}.`;
  const undo = await client.call("undo", { change, reason: mistake });
  expect(undo).toMatchObject({ state: "proposed", rows: 1, url: `${server.origin}/changes/${String(undo["change"])}` });
  expect(readTicket(id)).toEqual(closed);
  await approve(page, undo, mistake);
  expect(await client.call("fetch", { id: undo["change"] })).toMatchObject({ metadata: { state: "applied" } });
  expect(readTicket(id)).toEqual(before);
}

async function changeAsSignedIn(client: ProgramClient): Promise<void> {
  const page = await browser.open();
  await signInAt(page, server.origin, SUPPORT);
  await changeAndUndo(client, page);
  await client.finish();
}

describe("Claude Code", () => {
  it("changes a row that its user approves in Chromium, and an undo restores it byte for byte", async ({ skip }) => {
    skip(missing !== undefined, missing);
    await changeAsSignedIn(await openClaudeCode());
  }, 60_000);
});

describe("the Inspector's command line", () => {
  it("changes a row that its user approves in Chromium, and an undo restores it byte for byte", async () => {
    await changeAsSignedIn(openInspector());
  }, 60_000);
});
