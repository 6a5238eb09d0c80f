// `npm start` over the sample with an almost unbounded work limit: a user's query that would run for minutes restarts the server
// once, is refused from then on, and another user goes on working with their session, results and records.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { queryShop } from "../support/node/query.ts";
import { freePort } from "../support/node/server.ts";
import { openWireSession } from "../support/node/wire.ts";
import { runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";

const QUERY_SECONDS = 2;
/** Each looks at 12,000³ rows, which takes hours: no improvement of the estimate matters, as the limit is raised. */
const slowQuery = (number: number, note = ""): string =>
  `SELECT count(*) FROM orders AS a, orders AS b, orders AS c ${note} WHERE a.total_cents + b.total_cents + c.total_cents = ${number}`;
const OTHER_SLOW_QUERIES = [
  "SELECT max(a.id) FROM orders AS a, orders AS b, orders AS c WHERE a.total_cents * b.total_cents = c.total_cents + 1",
  "SELECT min(a.id) FROM orders AS a, orders AS b, orders AS c WHERE a.total_cents - b.total_cents = c.total_cents + 1",
];
const QUICK_QUERY = "SELECT count(*) AS n FROM customers";

const copy = mkdtempSync(path.join(tmpdir(), "gatehouse-supervisor-"));
const stateDir = path.join(copy, ".wrangler/state");
let server: WorkerProcess;
let attacker: string;
let colleague: string;

beforeAll(async () => {
  await copyRepository(copy);
  const policyFile = path.join(copy, "sample/gatehouse.config.ts");
  const limits = `limits: { maxQuerySteps: Number.MAX_SAFE_INTEGER, querySeconds: ${QUERY_SECONDS} },`;
  writeFileSync(policyFile, readFileSync(policyFile, "utf8").replace("\n  sources: {", `\n  ${limits}\n  sources: {`));
  const port = await freePort();
  const env = { PORT: String(port), GATEHOUSE_STATE: stateDir };
  const readyText = "Press Ctrl+C to stop.";
  server = await runProcess("scripts/start.ts", env, readyText, `http://localhost:${port}`, copy);
  const flow = { origin: server.origin, send: fetch };
  attacker = (await tokensFor(flow, "analyst@harbor.example")).accessToken;
  colleague = (await tokensFor(flow, "reviewer@harbor.example")).accessToken;
}, 120_000);

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(copy, { recursive: true, force: true });
});

/** The answer's text, or "cut" when the server ended before it answered or is not there. */
async function ask(token: string, sql: string): Promise<string> {
  try {
    return await (await queryShop(server.origin, token, sql)).text();
  } catch {
    // What a client sees of a restart: a reset connection, or none.
    return "cut";
  }
}

async function untilServed(): Promise<void> {
  while ((await ask(colleague, QUICK_QUERY)) === "cut") await new Promise((resolve) => setTimeout(resolve, 100));
}

/** The process that a Node process serves with, by what Linux tells of it. */
function workerdOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  return Number(children.find((id) => readFileSync(`/proc/${id}/comm`, "utf8").startsWith("workerd")));
}

async function untilReported(crashes: number): Promise<void> {
  while (server.status() === null && server.output().split("ended by itself").length - 1 < crashes)
    await new Promise((resolve) => setTimeout(resolve, 100));
}

interface CallLine {
  readonly event: string;
  readonly call: string;
  readonly statement: string | null;
  readonly outcome?: string;
}

function callLines(): readonly CallLine[] {
  const lines = server.output().split("\n");
  return lines.filter((line) => line.startsWith('{"event":"call_')).map((line): CallLine => JSON.parse(line));
}

const restarts = (): number => server.output().split("is started again").length - 1;

/** Calls by their records: what the files of all ledgers hold. */
function recordedCalls(): readonly { readonly call: string; readonly body: string }[] {
  const files = readdirSync(path.join(stateDir, "v3"), { recursive: true, encoding: "utf8" });
  const ledgers = files.filter((file) => /LedgerObject\/.*\.sqlite$/.test(file) && !file.includes("metadata"));
  return ledgers.flatMap((file) => {
    const database = new DatabaseSync(path.join(stateDir, "v3", file), { readOnly: true });
    const rows = database.prepare("SELECT call, body FROM record").all();
    database.close();
    return rows.map(({ call, body }) => ({ call: String(call), body: String(body) }));
  });
}

describe("npm start", () => {
  it("does not restart the server after a suspend", async () => {
    process.kill(-server.pid, "SIGSTOP");
    // Longer than querySeconds; a suspend can only be waited for.
    await new Promise((resolve) => setTimeout(resolve, (QUERY_SECONDS + 2) * 1000));
    process.kill(-server.pid, "SIGCONT");
    for (let count = 0; count < 5; count += 1) expect(await ask(colleague, QUICK_QUERY)).toContain("2000");
    expect(restarts()).toBe(0);
  }, 30_000);

  it("restarts once for a query that is sent 20 times, while a second user works", async () => {
    const headers = { authorization: `Bearer ${colleague}` };
    const session = await openWireSession(server.origin, "", { headers });
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
    expect(await (await session.request(list)).text()).toContain('"query"');

    const done = new AbortController();
    const work = async (): Promise<{ answers: readonly string[]; cuts: number }> => {
      const answers: string[] = [];
      let cuts = 0;
      while (!done.signal.aborted || answers.length < 20) {
        const answer = await ask(colleague, QUICK_QUERY);
        if (answer === "cut") {
          cuts += 1;
          await new Promise((resolve) => setTimeout(resolve, 100));
        } else answers.push(answer);
      }
      return { answers, cuts };
    };
    const working = work();
    const outcomes: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      // Neither a space, a comment, letter case nor another number makes it another statement.
      outcomes.push(await ask(attacker, slowQuery(count, ["", "  ", "/* again */", "-- again\n"][count % 4])));
      if (outcomes.at(-1) === "cut") await untilServed();
    }
    done.abort();
    const { answers, cuts } = await working;

    expect(outcomes.filter((outcome) => outcome === "cut")).toHaveLength(1);
    for (const refused of outcomes.filter((outcome) => outcome !== "cut"))
      expect(refused).toMatch(/query_refused: .*stopped answering while it ran.*The data team/);
    expect(restarts()).toBe(1);
    expect(cuts).toBeGreaterThan(0);
    for (const answer of answers) expect(answer).toContain("2000");
    expect(await (await session.request(list)).text()).toContain('"query"');
  }, 60_000);

  it("logs the beginning and end of each call without SQL, and names the call that caused the restart", () => {
    const lines = callLines();
    const ended = new Set(lines.filter(({ event }) => event === "call_end").map(({ call }) => call));
    const [guilty, ...others] = lines.filter(({ event, call }) => event === "call_begin" && !ended.has(call));
    expect(others).toEqual([]);
    expect(server.output()).toContain(`call ${guilty?.call}`);
    const refused = lines.filter(({ outcome, statement }) => outcome === "query_refused" && statement !== null);
    expect(new Set(refused.map(({ statement }) => statement))).toEqual(new Set([guilty?.statement]));
    expect(refused).toHaveLength(19);
    for (const text of ["count(", "total_cents", "again */", "@harbor.example"])
      expect(JSON.stringify(lines)).not.toContain(text);
  });

  it("refuses all SQL of a user of whom three statements stopped the server", async () => {
    for (const sql of OTHER_SLOW_QUERIES) {
      expect(await ask(attacker, sql)).toBe("cut");
      await untilServed();
    }
    expect(restarts()).toBe(3);
    expect(await ask(attacker, "SELECT 1 AS n")).toContain("query_refused");
    expect(await ask(colleague, QUICK_QUERY)).toContain("2000");
  }, 60_000);

  it("serves a refused statement again once the operator has cleared it", async () => {
    const refused = await runScript(copy, "scripts/quarantine.ts", "list");
    expect(refused.stdout.trim().split("\n")).toHaveLength(3);
    expect(refused.stdout).toMatch(/analyst@harbor\.example {2}query on shop/);
    const cleared = await runScript(copy, "scripts/quarantine.ts", "clear");
    expect(cleared.stdout).toContain("3 statements are cleared.");
    while ((await ask(attacker, "SELECT 1 AS n")).match(/cut|query_refused/) !== null)
      await new Promise((resolve) => setTimeout(resolve, 100));
    // A restart that the operator asked for is not one of those that are counted.
    expect(restarts()).toBe(3);
    expect((await runScript(copy, "scripts/quarantine.ts", "list")).stdout).toContain("No statement is refused.");
  }, 60_000);

  it.skipIf(process.platform !== "linux")(
    "stops after three restarts in a minute, and says so",
    async () => {
      // Of the earlier restarts some may count, so it can take fewer.
      for (let kills = 0; kills < 4 && server.status() === null; kills += 1) {
        process.kill(workerdOf(server.pid), "SIGKILL");
        while (server.status() === null && (await ask(colleague, QUICK_QUERY)) === "cut")
          await new Promise((resolve) => setTimeout(resolve, 100));
        await untilReported(kills + 1);
      }
      expect(server.status()).toBe(1);
      expect(server.output()).toContain("for the fourth time within a minute, so it stays ended.");
    },
    60_000,
  );

  it("keeps a record of every call that was answered", async () => {
    const answered = callLines().filter(({ outcome }) => outcome === "answered");
    await server.stop("SIGTERM");
    const recorded = new Set(recordedCalls().map(({ call }) => call));
    expect(answered.filter(({ call }) => !recorded.has(call))).toEqual([]);
    expect(answered.length).toBeGreaterThan(20);
  }, 30_000);
});
