// Tests a deployed GATEHOUSE_DB over the platform's query API: the Worker's store modules run over it as over a binding.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform } from "../../cli/cloudflare-api/platform.ts";
import { createRemoteDatabase } from "../../cli/cloudflare-api/remote-database.ts";
import { addRole, setAttributes } from "../../src/members/member-statements.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import { openSetupStore } from "../../src/members/setup-store.ts";
import { openPatStore } from "../../src/personal-access-tokens/pat-store.ts";
import { ACCOUNT } from "../support/node/platform/account.ts";
import { createProject } from "../support/node/platform/project.ts";
import type { Project } from "../support/node/platform/project.ts";
import { TOKEN, startPlatform } from "../support/node/platform/server.ts";
import type { StandIn } from "../support/node/platform/server.ts";

const MIGRATIONS = path.resolve(import.meta.dirname, "../../migrations");
const BY = { by: "operator", nowMs: 1_790_000_000_000 };

let platform: StandIn;
let project: Project;
let database: D1Database;

beforeAll(async () => {
  platform = await startPlatform();
  const client = createPlatform({ baseUrl: platform.url, token: TOKEN });
  const id = (await client.makeDatabase(ACCOUNT, "gatehouse-db"))?.id ?? "";
  const { content } = platform.account.databaseOf(id);
  for (const file of readdirSync(MIGRATIONS).filter((name) => name.endsWith(".sql")))
    content.exec(readFileSync(path.join(MIGRATIONS, file), "utf8"));
  database = createRemoteDatabase(async (batch) => client.runBatch(ACCOUNT, id, batch));
  project = createProject(platform);
  project.edit("wrangler.jsonc", '"local-gatehouse"', `"${id}"`);
});
afterAll(async () => {
  project.remove();
  await platform.close();
});

describe("a remote database", () => {
  it("runs the stores of members, setup and personal access tokens", async () => {
    const members = openMemberStore(database);
    await members.applyChange(addRole("ann@x.example", "analyst", BY));
    await members.applyChange(setAttributes("ann@x.example", { region: "north" }, BY));
    expect(await members.find("ann@x.example")).toMatchObject({
      roles: [{ role: "analyst", by: "operator", atMs: BY.nowMs }],
      attributes: { region: "north" },
    });
    const subject = { subjectId: "s1", email: "ann@x.example", groups: ["staff"], seenMs: BY.nowMs };
    expect(await members.registerSubject(subject)).toMatchObject({ roles: ["analyst"], version: 2 });
    expect(await members.listAddresses()).toEqual(new Map([["s1", "ann@x.example"]]));

    const pats = openPatStore(database);
    const pat = { id: "p1", hash: "0".repeat(64), ownerId: "s1", name: "nightly", roles: ["analyst"], by: "operator" };
    const times = { nowMs: BY.nowMs, expiresMs: BY.nowMs + 1000 };
    const caps = { maxActive: 1, maxPerDay: 5 };
    expect(await pats.add({ ...pat, ...times }, caps)).toEqual({ ok: true });
    expect(await pats.add({ ...pat, ...times, id: "p2", hash: "1".repeat(64) }, caps)).toEqual({
      ok: false,
      madeToday: 1,
    });
    expect(await pats.listAll()).toMatchObject([{ id: "p1", ownerEmail: "ann@x.example", usedMs: null }]);
    expect(await pats.revoke("p1", null, "operator", BY.nowMs)).toBe(true);
    expect(await pats.revoke("p1", null, "operator", BY.nowMs)).toBe(false);

    const setup = openSetupStore(database);
    expect(await setup.findClosing()).toBeUndefined();
    await setup.close({ ...BY, reason: "voided" });
    expect(await setup.findClosing()).toEqual({ closedMs: BY.nowMs, reason: "voided" });
  });

  it("binds values, so that SQL in a value stays text", async () => {
    const hostile = "o'hara'); DROP TABLE member; --?1";
    const row = await database
      .prepare("SELECT ?1 AS text, ?2 AS number, ?3 AS absent")
      .bind(hostile, 1.5, null)
      .first();
    expect(row).toEqual({ text: hostile, number: 1.5, absent: null });
    await expect(database.prepare("SELECT 1 AS a, 2 AS a").raw()).rejects.toThrow(TypeError);
    expect(await database.prepare("SELECT 7 AS a").first("a")).toBe(7);
    expect(await database.prepare("SELECT 7 AS a WHERE 0").first()).toBeNull();
  });

  it("applies no statement of a batch when one of them fails", async () => {
    const insert = database.prepare("INSERT INTO member (email, changed_by, changed_ms) VALUES (?, 'operator', 1)");
    await expect(database.batch([insert.bind("batch@x.example"), insert.bind("batch@x.example")])).rejects.toThrow(
      "UNIQUE constraint failed",
    );
    expect(await openMemberStore(database).find("batch@x.example")).toBeUndefined();
  });

  it.each([2 ** 53, NaN, undefined, true, new Uint8Array(1)])(
    "rejects the value %s, which JSON would change",
    (value) => {
      expect(() => database.prepare("SELECT ?").bind(value)).toThrow(TypeError);
    },
  );
});

describe("npm run member -- --remote", () => {
  it(
    "changes and lists the deployment's table, with the names that JSON holds exactly",
    { timeout: 120_000 },
    async () => {
      const added = await project.command(["member", "add", "remote@x.example", "sales", "--remote"]);
      expect(added.output).toMatch(/^remote@x\.example {2}sales \(by operator, \d{4}-\d\d-\d\d\)\n/);
      expect(added.status).toBe(0);
      const { output, status } = await project.command(["member", "list", "--remote", "--json"]);
      expect(status, output).toBe(0);
      expect(JSON.parse(output).membersTable).toContainEqual({
        email: "remote@x.example",
        roles: [{ role: "sales", by: "operator", at: expect.stringMatching(/^\d{4}-.*Z$/) }],
        attributes: {},
        unreadable: [],
      });
    },
  );

  it("says how to get access when there is none, and does not print a stack", { timeout: 60_000 }, async () => {
    const env = { CLOUDFLARE_API_TOKEN: "", HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" };
    const { output, status } = await project.command(["member", "list", "--remote"], env);
    expect(output).toContain("Set CLOUDFLARE_API_TOKEN");
    expect(output).not.toContain("    at ");
    expect(status).toBe(1);
  });

  it("names the command that writes the database's id before the first deployment", { timeout: 60_000 }, async () => {
    const first = createProject(platform);
    const { output, status } = await first.command(["token", "list", "--remote"]);
    first.remove();
    expect(output).toContain("npm run deploy writes it.");
    expect(status).toBe(1);
  });
});
