// `npm start` over the sample with an almost unbounded work limit: a user's query that would run for minutes restarts the server
// once and is refused from then on, while another user keeps working with the same session, results and audit records.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { queryShop } from "../support/node/query.ts";
import { freePort } from "../support/node/server.ts";
import { openWireSession } from "../support/node/wire.ts";
import { findWorkerd, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";

const QUERY_SECONDS = 2;
/** Each query reads 12,000³ rows, which takes hours. The raised limit lets it run whatever its estimate is. */
const slowQuery = (number: number, note = ""): string =>
  `SELECT count(*) FROM orders AS a, orders AS b, orders AS c ${note} WHERE a.total_cents + b.total_cents + c.total_cents = ${number}`;
const OTHER_SLOW_QUERIES = [
  "SELECT max(a.id) FROM orders AS a, orders AS b, orders AS c WHERE a.total_cents * b.total_cents = c.total_cents + 1",
  "SELECT min(a.id) FROM orders AS a, orders AS b, orders AS c WHERE a.total_cents - b.total_cents = c.total_cents + 1",
];
/** Reads 4,000,000 rows for each of `runs`, which takes some tenths of a second. */
const longQuery = (runs: number): string =>
  `SELECT count(*) AS n FROM ${[2000, 2000, runs].map((rows, place) => `(SELECT total_cents AS t FROM orders LIMIT ${rows}) AS t${place}`).join(", ")}
    WHERE t0.t + t1.t + t2.t <> 17`;
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
  server = await runProcess(["cli/main.ts", "start"], env, readyText, `http://localhost:${port}`, copy);
  const flow = { origin: server.origin, send: fetch };
  attacker = (await tokensFor(flow, "analyst@harbor.example")).accessToken;
  colleague = (await tokensFor(flow, "reviewer@harbor.example")).accessToken;
}, 120_000);

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(copy, { recursive: true, force: true });
});

/** Queries the shop; returns the response text, or "cut" when the server is not running or ended before it responded. */
async function queryOrCut(accessToken: string, sql: string): Promise<string> {
  try {
    return await (await queryShop(server.origin, accessToken, sql)).text();
  } catch {
    // During a restart, connections are reset or refused.
    return "cut";
  }
}

async function waitUntilServed(): Promise<void> {
  while ((await queryOrCut(colleague, QUICK_QUERY)) === "cut") await new Promise((resolve) => setTimeout(resolve, 100));
}

async function waitUntilReported(crashes: number): Promise<void> {
  while (server.status() === null && server.output().split("ended by itself").length - 1 < crashes)
    await new Promise((resolve) => setTimeout(resolve, 100));
}

interface CallLine {
  readonly event: string;
  readonly call: string;
  readonly subject: string;
  readonly statement: string | null;
  readonly outcome?: string;
}

function readCallLines(): readonly CallLine[] {
  const lines = server.output().split("\n");
  return lines.filter((line) => line.startsWith('{"event":"call_')).map((line): CallLine => JSON.parse(line));
}

const countRestarts = (): number => server.output().split("and is restarting").length - 1;

/** Reads the recorded calls from the database files of all ledgers. */
function readRecordedCalls(): readonly { readonly call: string; readonly body: string }[] {
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
    // Longer than querySeconds; the clock of a suspended process cannot be advanced.
    await new Promise((resolve) => setTimeout(resolve, (QUERY_SECONDS + 2) * 1000));
    process.kill(-server.pid, "SIGCONT");
    for (let count = 0; count < 5; count += 1) expect(await queryOrCut(colleague, QUICK_QUERY)).toContain("2000");
    expect(countRestarts()).toBe(0);
  }, 30_000);

  it("does not restart the server for queries that together take longer than querySeconds, each of which is answered", async () => {
    await queryOrCut(attacker, longQuery(1));
    const beganMs = performance.now();
    await queryOrCut(attacker, longQuery(1));
    const runs = Math.max(1, Math.round((QUERY_SECONDS * 350) / (performance.now() - beganMs)));
    const answers = await Promise.all(Array.from({ length: 8 }, () => queryOrCut(attacker, longQuery(runs))));
    for (const answer of answers) expect(answer).toContain(String(4_000_000 * runs));
    expect(countRestarts()).toBe(0);
    expect((await runScript(copy, "cli/main.ts", "quarantine", "list")).stdout).toContain("No statement is refused.");
  }, 60_000);

  it("restarts once for a query that is sent 20 times, while a second user works", async () => {
    const headers = { authorization: `Bearer ${colleague}` };
    const session = await openWireSession(server.origin, "", { headers });
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
    expect(await (await session.request(list)).text()).toContain('"query"');

    const stopped = new AbortController();
    const work = async (): Promise<{ answers: readonly string[]; cuts: number }> => {
      const answers: string[] = [];
      let cuts = 0;
      while (!stopped.signal.aborted || answers.length < 20) {
        const answer = await queryOrCut(colleague, QUICK_QUERY);
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
      // Different spaces, comments or numbers must not make it another statement.
      outcomes.push(await queryOrCut(attacker, slowQuery(count, ["", "  ", "/* again */", "-- again\n"][count % 4])));
      if (outcomes.at(-1) === "cut") await waitUntilServed();
    }
    stopped.abort();
    const { answers, cuts } = await working;

    expect(outcomes.filter((outcome) => outcome === "cut")).toHaveLength(1);
    for (const refused of outcomes.filter((outcome) => outcome !== "cut"))
      expect(refused).toMatch(/query_refused: .*stopped answering while it ran.*The data team/);
    expect(countRestarts()).toBe(1);
    expect(cuts).toBeGreaterThan(0);
    for (const answer of answers) expect(answer).toContain("2000");
    expect(await (await session.request(list)).text()).toContain('"query"');
  }, 60_000);

  it("logs the beginning and end of each call without SQL, and names the call that caused the restart", () => {
    const lines = readCallLines();
    const ended = new Set(lines.filter(({ event }) => event === "call_end").map(({ call }) => call));
    const cut = lines.filter(({ event, call }) => event === "call_begin" && !ended.has(call));
    const [stoppingCall, ...otherNamed] = cut.filter(({ call }) => server.output().includes(`call ${call}`));
    expect(otherNamed).toEqual([]);
    expect(cut.find(({ subject }) => subject === stoppingCall?.subject)).toEqual(stoppingCall);
    // At most one call of the second user waits behind the call that blocks.
    expect(cut.length).toBeLessThanOrEqual(2);
    const refused = lines.filter(({ outcome, statement }) => outcome === "query_refused" && statement !== null);
    expect(new Set(refused.map(({ statement }) => statement))).toEqual(new Set([stoppingCall?.statement]));
    expect(refused).toHaveLength(19);
    for (const text of ["count(", "total_cents", "again */", "@harbor.example"])
      expect(JSON.stringify(lines)).not.toContain(text);
  });

  it("refuses all SQL of a user whose statements stopped the server three times", async () => {
    for (const sql of OTHER_SLOW_QUERIES) {
      expect(await queryOrCut(attacker, sql)).toBe("cut");
      await waitUntilServed();
    }
    expect(countRestarts()).toBe(3);
    expect(await queryOrCut(attacker, "SELECT 1 AS n")).toContain("query_refused");
    expect(await queryOrCut(colleague, QUICK_QUERY)).toContain("2000");
  }, 60_000);

  it("accepts SQL again once the operator has cleared the refused statements", async () => {
    const refused = await runScript(copy, "cli/main.ts", "quarantine", "list");
    expect(refused.stdout.trim().split("\n")).toHaveLength(3);
    expect(refused.stdout).toMatch(/analyst@harbor\.example {2}query on shop/);
    const cleared = await runScript(copy, "cli/main.ts", "quarantine", "clear");
    expect(cleared.stdout).toContain("3 statements were cleared.");
    while ((await queryOrCut(attacker, "SELECT 1 AS n")).match(/cut|query_refused/) !== null)
      await new Promise((resolve) => setTimeout(resolve, 100));
    // A restart that the operator requested does not count.
    expect(countRestarts()).toBe(3);
    expect((await runScript(copy, "cli/main.ts", "quarantine", "list")).stdout).toContain("No statement is refused.");
  }, 60_000);

  it.skipIf(process.platform !== "linux")(
    "stays stopped after the fourth crash within a minute, and says so",
    async () => {
      // Earlier restarts may count too, so fewer kills may be enough.
      for (let kills = 0; kills < 4 && server.status() === null; kills += 1) {
        process.kill(findWorkerd(server.pid) ?? NaN, "SIGKILL");
        while (server.status() === null && (await queryOrCut(colleague, QUICK_QUERY)) === "cut")
          await new Promise((resolve) => setTimeout(resolve, 100));
        await waitUntilReported(kills + 1);
      }
      expect(server.status()).toBe(1);
      expect(server.output()).toContain("needed a fourth restart within a minute, so it was stopped.");
    },
    60_000,
  );

  it("stores an audit record of every answered call", async () => {
    const answered = readCallLines().filter(({ outcome }) => outcome === "answered");
    await server.stop("SIGTERM");
    const recorded = new Set(readRecordedCalls().map(({ call }) => call));
    expect(answered.filter(({ call }) => !recorded.has(call))).toEqual([]);
    expect(answered.length).toBeGreaterThan(20);
  }, 30_000);
});
