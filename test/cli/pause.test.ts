// Tests `gatehouse pause` and `gatehouse audit refused` beside a running server and without one. Most commands run in this process, over one
// opened database, because each process loads the platform's tools anew.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { listRefusedRequests } from "../../cli/audit-report/refused-counts.ts";
import { withOwnDatabase } from "../../cli/own-database/own-database.ts";
import type { OwnDatabase } from "../../cli/own-database/own-database.ts";
import { addPause, endPause, listPauses, readPause } from "../../cli/own-database/pauses.ts";
import { queryShop } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const ANALYST = "analyst@harbor.example";
const LONG_MS = 240_000;
const NOON = Date.parse("2026-11-28T12:00:00Z");

describe("the options of pause add", () => {
  it.each([
    [{}, "Name one of --user, --token, --client and --source."],
    [{ user: ANALYST, source: "shop" }, "Name one of"],
    [{ source: "shop", for: "2 weeks" }, "--for is 2 weeks. Write how long, such as 30m, 2h or 7d"],
    [{ source: "shop", for: "400d" }, "at most 366d"],
    [{ source: "shop", reason: "x".repeat(201) }, "The reason is longer than 200 characters."],
    [{ source: "shop", reason: "a\u202eb" }, "The reason "],
    [{ source: "shop", reason: "a\nb" }, "The reason "],
  ] as const)("refuses %j as wrong usage", (options, message) => {
    expect(() => readPause(options, NOON)).toThrow(message);
  });

  it("reads the end of a pause from the time of the command", () => {
    const options = { user: "Analyst@Harbor.example", reason: " Checking. ", for: "2h" };
    const untilMs = NOON + 7_200_000;
    expect(readPause(options, NOON)).toEqual({ kind: "user", target: ANALYST, reason: "Checking.", untilMs });
  });
});

describe("beside a server", () => {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-pause-"));
  let server: WorkerProcess;

  beforeAll(async () => {
    vi.stubEnv("GATEHOUSE_STATE", stateDir);
    server = await startServer(await freePort(), stateDir);
  }, LONG_MS);

  afterEach(() => {
    expect(process.env["GATEHOUSE_STATE"]).toBe(stateDir);
  });

  afterAll(async () => {
    await server.stop("SIGTERM");
    vi.unstubAllEnvs();
    rmSync(stateDir, { recursive: true, force: true });
  });

  async function run(...args: readonly string[]) {
    const child = spawn(process.execPath, ["cli/main.ts", ...args], { cwd: ROOT, env: process.env, stdio: "pipe" });
    const ended = [text(child.stdout), text(child.stderr), once(child, "close")] as const;
    const [stdout, stderr, [status]] = await Promise.all(ended);
    return { status: Number(status), stdout, stderr };
  }
  const inDatabase = async <T>(work: (database: OwnDatabase) => Promise<T>): Promise<T> => withOwnDatabase({}, work);
  const queryText = async (token: string): Promise<string> =>
    (await queryShop(server.origin, token, "SELECT id FROM customers LIMIT 1")).text();
  const signIn = async (): Promise<string> =>
    (await tokensFor({ origin: server.origin, send: fetch }, ANALYST)).accessToken;

  it(
    "pauses a user, a client and a source with the next request, says so, and resumes",
    async () => {
      const token = await signIn();
      expect(await queryText(token)).toContain('"rows"');
      await inDatabase(async (database) => {
        // The id of the client is in the record of its call, which its ledger sends after ten seconds.
        await expect
          .poll(async () => (await database.pauses.listClients(9)).length, { timeout: 60_000, interval: 1000 })
          .toBe(1);
        const [client = ""] = await database.pauses.listClients(9);
        for (const [options, words] of [
          [{ user: ANALYST }, "your access"],
          [{ client }, "this client"],
          [{ source: "shop" }, "the source shop"],
        ] as const) {
          const asked = readPause({ ...options, reason: "We look into it.", for: "2h" }, Date.now());
          const { lines, data } = await addPause(database, asked, Date.now());
          expect(lines.at(-1)).toBe("Done: it takes effect with the next request.");
          expect(data).toMatchObject({ state: "paused", waitingLedgers: 0, reason: "We look into it." });
          const refused = await queryText(token);
          expect(refused).toContain(`has paused ${words}`);
          expect(refused).toContain("We look into it.");
          const { kind, target } = asked;
          expect((await listPauses(database, Date.now())).lines[0]).toContain(`${kind} ${target}  paused at`);
          const resumed = await endPause(database, { kind, target }, Date.now());
          expect(resumed.data).toMatchObject({ target, state: "resumed", waitingLedgers: 0 });
          expect(await queryText(token)).toContain('"rows"');
        }
        const again = endPause(database, { kind: "source", target: "shop" }, Date.now());
        await expect(again).rejects.toThrow("The source shop is not paused.");
        for (const [kind, name, similar] of [
          ["user", "analist@harbor.example", ANALYST],
          ["source", "shopp", "shop"],
          ["client", `${client.slice(0, -1)}-`, client],
        ] as const) {
          const asked = readPause({ [kind]: name }, Date.now());
          await expect(addPause(database, asked, Date.now())).rejects.toMatchObject({
            message: expect.stringContaining(`${name} is not known.`),
            hint: `Did you mean ${similar}?`,
          });
          expect(await database.pauses.list({ kind, target: name })).toEqual([]);
        }
      });
    },
    LONG_MS,
  );

  it(
    "lists requests that were refused before sign-in by minute, cause and network",
    async () => {
      const ask = async () => fetch(`${server.origin}/mcp`, { method: "POST", headers: { authorization: "Bearer x" } });
      await ask();
      await inDatabase(async (database) => {
        const list = async () => listRefusedRequests(database, { since: "1h", limit: "50" }, Date.now());
        await expect
          .poll(
            async () => {
              await ask();
              return (await list()).lines.join("\n");
            },
            { timeout: 60_000, interval: 1000 },
          )
          .toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\dZ {2}invalid_access_token {2}local {2}\d+$/m);
        const none = await listRefusedRequests(database, { since: "2999-01-01", limit: "50" }, Date.now());
        expect([none.lines, none.data]).toEqual([
          ["No refused request was counted. Counts stay for 90 days."],
          { refused: [], hasMore: false },
        ]);
        for (const wrong of [{ limit: "0" }, { since: "soon", limit: "50" }])
          await expect(listRefusedRequests(database, wrong, Date.now())).rejects.toThrow(/--(?:limit|since) is/);
      });
      const { stdout } = await run("audit", "refused", "--limit", "1", "--json");
      const { refused } = JSON.parse(stdout);
      expect(refused.map((entry: object) => Object.keys(entry))).toEqual([["minute", "cause", "network", "count"]]);
    },
    LONG_MS,
  );

  it(
    "says that a pause is not done while no server runs, and it takes effect when the server runs again",
    async () => {
      const token = await signIn();
      const { port } = new URL(server.origin);
      await server.stop("SIGTERM");
      const paused = await run("pause", "add", "--user", ANALYST);
      expect([paused.status, paused.stderr]).toEqual([1, ""]);
      expect(paused.stdout).toContain("Not done: the ledger of 1 user does not have it yet. No server runs at");
      server = await startServer(Number(port), stateDir);
      await expect
        .poll(async () => queryText(token), { timeout: 60_000, interval: 1000 })
        .toContain("has paused your access");
      const listed = JSON.parse((await run("pause", "list", "--json")).stdout);
      expect(listed.pauses[0]).toMatchObject({ kind: "user", target: ANALYST, state: "paused", waitingLedgers: 0 });
    },
    LONG_MS,
  );
});
