// Tests `npm run member`, `npm run token` and `npm run setup:void` beside a running server: their changes take effect with its next
// request.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { queryShop } from "../support/node/query.ts";
import { freePort, startServer } from "../support/node/server.ts";
import type { WorkerProcess } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const REVIEWER = "reviewer@harbor.example";

// This file needs its own server, because other tests rely on the permissions of the shared one.
const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-people-"));
let server: WorkerProcess;

beforeAll(async () => {
  server = await startServer(await freePort(), stateDir);
});

afterAll(async () => {
  await server.stop("SIGTERM");
  rmSync(stateDir, { recursive: true, force: true });
});

type Script = "member" | "token" | "policy" | "setup-void";

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command without PORT: it finds the server by the state folder. */
async function run(script: Script, ...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, GATEHOUSE_STATE: stateDir };
  const child = spawn(process.execPath, ["cli/main.ts", script, ...args], { cwd: ROOT, env, stdio: "pipe" });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status, stdout, stderr };
}

/** Runs a command that must succeed, and returns the lines that it prints. */
async function lines(script: Script, ...args: readonly string[]): Promise<readonly string[]> {
  const { status, stdout, stderr } = await run(script, ...args);
  if (status !== 0) throw new Error(stderr);
  return stdout.trim().split("\n");
}

/** Changes GATEHOUSE_DB behind the server's back, to store what an older version could have stored. */
function inOwnDatabase(work: (database: DatabaseSync) => unknown): void {
  const folder = path.join(stateDir, "v3/d1");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".sqlite"));
  for (const file of files) {
    const database = new DatabaseSync(path.join(folder, file), { timeout: 5000 });
    const isOwn =
      database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'personal_access_token'").get() !== undefined;
    if (isOwn) work(database);
    database.close();
  }
}

async function notesSeenBy(token: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await queryShop(server.origin, token, "SELECT notes FROM customers LIMIT 1");
  return { status: response.status, text: await response.text() };
}

// These tests come first, because giving an administering role, as the tests below do, closes the setup too.
describe("npm run setup:void", () => {
  it("closes the setup permanently and says when", async () => {
    const first = await lines("setup-void");
    expect(first[0]).toMatch(/^Setup is closed permanently: the setup code was voided on \d{4}-\d\d-\d\dT.*Z\.$/);
    expect(first[1]).toContain("npm run member -- add");
    expect(await lines("setup-void", "--local")).toEqual(first);
  }, 60_000);
});

describe("npm run member and npm run token", () => {
  it("give and remove access with effect from the next request", async () => {
    const { accessToken } = await tokensFor({ origin: server.origin, send: fetch }, REVIEWER);
    expect((await notesSeenBy(accessToken)).text).toContain("There is no column notes");
    const added = await lines("member", "add", "Reviewer@harbor.example", "owner");
    expect(added[0]).toMatch(/^reviewer@harbor\.example {2}owner \(by operator, \d{4}-\d\d-\d\d\)$/);
    expect(added[1]).toBe("The change takes effect with the next request.");
    expect((await notesSeenBy(accessToken)).text).toContain('"columns":["notes"]');

    const [head = "", , token = ""] = await lines("token", "create", "nightly", "--owner", REVIEWER, "--role", "owner");
    const id = head.split(" ")[0] ?? "";
    expect((await notesSeenBy(token)).text).toContain('"columns":["notes"]');
    expect((await lines("token", "list")).join("\n")).toMatch(
      new RegExp(`${id} {2}nightly {2}${REVIEWER} {2}owner .* last used 2`),
    );
    expect((await lines("token", "list")).join("\n")).not.toContain(token.slice(4));

    expect((await lines("member", "remove", REVIEWER, "owner"))[0]).toBe(`${REVIEWER} is not in the members table.`);
    expect((await notesSeenBy(accessToken)).text).toContain("There is no column notes");
    expect((await notesSeenBy(token)).text).toContain("This personal access token has no role");

    expect((await lines("token", "revoke", id))[0]).toBe(`${id} was revoked. Its next request is refused.`);
    expect((await notesSeenBy(token)).status).toBe(401);
    expect((await run("token", "revoke", id)).stderr).toContain(`There is no active personal access token ${id}.`);
  }, 120_000);

  it("say that nothing was changed when there is nothing to remove, and what the policy file still gives", async () => {
    const nothing = await lines("member", "remove", "guest@harbor.example", "support");
    expect(nothing).toEqual([
      "guest@harbor.example does not have the role support in the members table, so nothing was changed.",
    ]);
    expect(await lines("member", "remove", "nobody@x.example")).toEqual([
      "nobody@x.example is not in the members table, so nothing was changed.",
    ]);
    const declared = await lines("member", "remove", REVIEWER, "analyst");
    expect(declared).toEqual([
      `${REVIEWER} does not have the role analyst in the members table, so nothing was changed.`,
      `warning: The policy file still gives ${REVIEWER} the role analyst. Remove that in the policy file.`,
    ]);
    await lines("member", "add", REVIEWER, "analyst");
    const removed = await lines("member", "remove", REVIEWER, "analyst");
    expect(removed.slice(0, 3)).toEqual([
      `${REVIEWER} is not in the members table.`,
      "The role analyst was removed.",
      declared[1],
    ]);
    await lines("member", "add", "twice@x.example", "support");
    const all = await lines("member", "remove", "twice@x.example", "--yes");
    expect(all[1]).toBe("All roles and attributes in the members table were removed.");
    expect(all.join("\n")).not.toContain("warning");
  }, 120_000);

  it("do not claim that an attribute takes effect when the policy file overrides it", async () => {
    const set = await lines("member", "set", "support@harbor.example", "region=south");
    expect(set[0]).toBe('support@harbor.example  no role  {"region":"south"}');
    expect(set[1]).toBe(
      [
        "warning: The policy file gives support@harbor.example the attribute region, which overrides the members table,",
        "so the value here has no effect. Change it in the policy file.",
      ].join(" "),
    );
    expect(set.join("\n")).not.toContain("takes effect");
    await lines("member", "remove", "support@harbor.example", "--yes");
  }, 60_000);

  it("escape control characters in names that an older version stored", async () => {
    const id = "older-token";
    const hostile = `older\u001b[2K\u001b[1A\u009b2J\u202e\u200b\n${"0".repeat(16)}  forged`;
    inOwnDatabase((database) => {
      database
        .prepare(
          `INSERT INTO personal_access_token (id, hash, owner_id, name, roles, made_by, made_ms, expires_ms)
            VALUES (?, 'x', 'x', ?, '[]', 'x', 0, ?)`,
        )
        .run(id, hostile, Date.now() + 86_400_000);
      database
        .prepare("INSERT INTO member (email, roles, attributes, changed_by, changed_ms) VALUES (?, ?, ?, ?, 0)")
        .run(
          "a\u202eb\u001b@x.example",
          '{"ro\\u001ble\\n":{"by":"x\\u009b","atMs":0},"bad\\u001b":1}',
          '{"re\\u001bg":"\\u202e"}',
          "x",
        );
    });
    const listed = await lines("token", "list");
    expect(
      listed.filter((line) => line.startsWith(`${id}  olderU+001B[2KU+001B[1AU+009B2JU+202EU+200BU+000A`)),
    ).toHaveLength(1);
    const state = ["--local", "--sample"];
    for (const output of [listed, await lines("member", "list"), await lines("policy", "check", ...state)]) {
      expect(output.join("\n")).toMatch(/U\+|u\{/);
      // oxlint-disable-next-line no-control-regex -- finding control characters is the point
      expect(output.join("\n")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
      expect(output.some((line) => line.startsWith("0000"))).toBe(false);
    }
    inOwnDatabase((database) =>
      database.exec("DELETE FROM member WHERE changed_by = 'x'; DELETE FROM personal_access_token WHERE made_by = 'x'"),
    );
  }, 120_000);

  it("store text with SQL syntax unchanged", async () => {
    const email = "o'hara@x.example";
    expect((await lines("member", "set", email, "region=north' OR 1=1; ?1 --"))[0]).toBe(
      `${email}  no role  {"region":"north' OR 1=1; ?1 --"}`,
    );
    expect(await lines("member", "list")).toContain(`  ${email}  no role  {"region":"north' OR 1=1; ?1 --"}`);
    await lines("member", "remove", email, "--yes");
    expect((await lines("member", "list")).join("\n")).not.toContain(email);
  }, 60_000);

  it("warn about stored attributes that grant nothing, and explain them", async () => {
    await lines("member", "set", "typed@x.example", "region=7");
    expect(await lines("member", "list")).toContain('  typed@x.example  no role  {"region":"7"}');
    const [set = "", warning = ""] = await lines("member", "set", "typed@x.example", 'region=["north"]');
    expect(set).toContain('{"region":["north"]}');
    expect(warning).toContain("warning: The attribute region is");
    const state = ["--local", "--sample"];
    await lines("member", "add", "typed@x.example", "support");
    const explained = (await lines("policy", "explain", "Typed@x.example", "shop.customers", ...state)).join("\n");
    expect(explained).toContain("typed@x.example: roles support");
    expect(explained).toContain('The attribute region is ["north"]. It is a list, but the rule support/allow/read');
    const checked = await lines("policy", "check", ...state);
    expect(checked.filter((line) => line.startsWith("warning: typed@x.example in the members table"))).toHaveLength(1);
    await lines("member", "remove", "typed@x.example", "--yes");
    const refused = await run("member", "remove", "\u212Aate@x.example");
    expect(refused.stderr).toContain("\\u{212a}ate@x.example is not an email address.");
  }, 120_000);

  it("say which attributes a role still needs, and which roles the owner of a new token lacks", async () => {
    const [, warning = "", effect] = await lines("member", "add", "new@x.example", "support");
    expect(warning).toBe(
      "warning: Rules of the role support grant nothing until new@x.example has the attribute region: npm run member -- set new@x.example region=<value>",
    );
    expect(effect).toBe("The change takes effect with the next request.");
    await lines("member", "set", "new@x.example", "region=north");
    expect((await lines("member", "add", "new@x.example", "support")).join()).not.toContain("warning");
    await lines("member", "remove", "new@x.example", "--yes");

    const { accessToken } = await tokensFor({ origin: server.origin, send: fetch }, REVIEWER);
    expect((await notesSeenBy(accessToken)).status).toBe(200);
    const [first = ""] = await lines("token", "create", "report", "--owner", REVIEWER, "--role", "owner");
    expect(first).toContain(`warning: ${REVIEWER} does not have the role owner now`);
    expect(first).toContain(`npm run member -- add ${REVIEWER} owner`);
  }, 60_000);

  it.each<[Script, readonly string[], number, string]>([
    ["member", [], 2, "Usage: npm run gatehouse -- member"],
    ["member", ["add", "ann@x.example"], 2, "Missing required argument 'role'."],
    ["member", ["add", "ann", "owner"], 2, "ann is not an email address."],
    [
      "member",
      ["add", "ann@x.example", "ownr"],
      1,
      "There is no role ownr. There are: analyst, support, refund-reviewer, owner.",
    ],
    ["member", ["set", "ann@x.example", "team=blue"], 1, "The policy file declares no attribute team."],
    ["member", ["list", "--local", "--remote"], 2, "Choose one"],
    ["setup-void", ["--local", "--remote"], 2, "Choose one"],
    ["setup-void", ["now"], 2, "Too many arguments for 'setup-void'."],
    [
      "member",
      ["set", "ann@x.example", 'region=["north",5]'],
      1,
      'The attribute region is ["north",5]. It must be text',
    ],
    [
      "member",
      ["set", "ann@x.example", "region=[5]"],
      1,
      "because the rule support/allow/read/shop.customers compares it with",
    ],
    [
      "member",
      ["add", "ann@x.example ", "owner"],
      2,
      "ann@x.example\\u{20} is not an email address. An address is written in ASCII",
    ],
    ["token", ["create", "x", "--owner", "\u212Aate@x.example", "--role", "owner"], 2, "is not an email address."],
    ["token", ["create", "x", "--role", "owner"], 2, "Required option '--owner <email>' not specified."],
    ["token", ["create", "a\u202eb", "--owner", REVIEWER, "--role", "owner"], 2, "has an invisible character (U+202E)"],
    [
      "token",
      ["create", "a\u001b[2K", "--owner", REVIEWER, "--role", "owner"],
      2,
      "has an invisible character (U+001B)",
    ],
    ["token", ["create", "  ", "--owner", REVIEWER, "--role", "owner"], 2, "The name is empty."],
    ["member", ["set", "ann@x.example", "te\u001bam=blue"], 1, "no attribute teU+001Bam."],
    [
      "token",
      ["create", "x", "--owner", "nobody@x.example", "--role", "owner"],
      1,
      "nobody@x.example has never signed in.",
    ],
    ["token", ["create", "x", "--owner", REVIEWER, "--role", "owner", "--days", "91"], 2, "from 1 to 90"],
    ["token", ["create", "x", "--owner", REVIEWER, "--role", "owner", "--days", "1e1"], 2, "--days is 1e1."],
    ["member", ["set", "ann@x.example", "x", "y"], 2, "x is not an attribute. Write name=value"],
    ["member", ["remove", "ann"], 2, "ann is not an email address."],
    ["policy", ["explain", "ann", "shop.customers"], 2, "ann is not an email address."],
  ])("npm run %s refuses %j with exit code %i and the message: %s", async (script, args, exitCode, problem) => {
    const { status, stderr } = await run(script, ...args);
    expect(status, stderr).toBe(exitCode);
    expect(stderr).toContain(problem);
    expect(stderr).not.toContain("    at ");
  });
});
