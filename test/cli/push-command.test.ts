// Tests the way of an operator from a file to a deployment against a fake of Cloudflare's API: introspect, open, push and deploy, with the
// process of `push` killed at many requests.
import { readFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProject } from "../support/node/platform/project.ts";
import type { Project } from "../support/node/platform/project.ts";
import { startPlatform } from "../support/node/platform/server.ts";
import type { FaultKind, StandIn } from "../support/node/platform/server.ts";
import { ROOT } from "../support/node/worker.ts";
import { EVERY_KIND, describeContent, readFrom } from "./push-fixture.ts";

const MINUTES = 60_000;
/** Requests until each kill, and what becomes of the request under way. */
const KILLS: readonly (readonly [number, FaultKind])[] = [
  [0, "late"],
  [0, "cut"],
  [1, "lost"],
  [4, "late"],
  [7, "cut"],
  [9, "late"],
];

let platform: StandIn;
let project: Project;

beforeAll(async () => {
  platform = await startPlatform();
  project = createProject(platform);
  project.write("src/gatehouse.config.ts", readFileSync(path.join(ROOT, "src/gatehouse.config.ts"), "utf8"));
  const file = new DatabaseSync(project.file("crm.sqlite"));
  file.exec(`BEGIN; ${EVERY_KIND} COMMIT;`);
  file.close();
});
afterAll(async () => {
  project.remove();
  await platform.close();
});

it(
  "introspect, open, push and deploy bring a file into the account, although push is killed again and again",
  { timeout: 10 * MINUTES },
  async () => {
    const done = async (args: readonly string[]): Promise<string> => {
      const { status, output } = await project.command(args);
      expect(status, output).toBe(0);
      return output;
    };
    await done(["introspect", "crm.sqlite"]);
    await done(["open", "crm.customers", "crm.orders"]);
    const unset = await project.command(["push", "crm"], { CLOUDFLARE_API_TOKEN: "" });
    expect(unset.output).toContain("CLOUDFLARE_API_TOKEN is not set");
    expect(unset.status).toBe(1);
    expect((await project.command(["push", "shop"])).output).toContain(
      "The policy file has no database shop. It has: crm.",
    );

    for (const [requests, kind] of KILLS) {
      let changes = 0;
      const isAt = (): boolean => changes++ === requests;
      const { status, output } = await project.command(["push", "crm"], {}, { kind, isAt, lateBy: 3 });
      expect(status, output).toBeNull();
    }
    const pushed = await done(["push", "crm"]);
    expect(pushed).toContain("Going on with the push that was interrupted at step");
    expect(pushed).toMatch(/^crm\.customers +2 +[0-9a-f]{16} +same$/m);
    expect(platform.account.databases.map(({ name }) => name)).toEqual(["crm"]);
    const { content } = platform.account.databaseOf("crm");
    const original = new DatabaseSync(project.file("crm.sqlite"), { readOnly: true });
    const { objects: _objects, sequence: _sequence, ...expected } = await describeContent(readFrom(original));
    original.close();
    const actual = await describeContent(readFrom(content));
    // Views are copied as far as the local database has them.
    const tables = Object.entries(expected).filter(([part]) => !part.startsWith("view "));
    expect(actual).toMatchObject(Object.fromEntries(tables));
    expect(actual["objects"]).toEqual(expect.arrayContaining(["index customers_code", "index customers_domain"]));

    const again = JSON.parse((await done(["push", "CRM_DB", "--json"])).replace(/^[^{]*\n(?=\{)/, "")) as {
      sent: boolean;
    };
    expect(again.sent).toBe(false);
    const deployed = await done(["deploy"]);
    expect(deployed).toContain("Gatehouse serves");
    expect(platform.account.databases.map(({ name }) => name).toSorted()).toEqual(["crm", "gatehouse"]);
    const { d1_databases: databases } = project.configuration();
    expect(databases.find(({ binding }) => binding === "CRM_DB")?.database_id).toBe(
      platform.account.databaseOf("crm").uuid,
    );

    const [crm, own] = ["crm", "gatehouse"].map((name) => platform.account.databaseOf(name).uuid);
    project.edit("wrangler.jsonc", crm ?? "", own ?? "");
    const shared = await project.command(["push", "crm", "--replace", "gatehouse"]);
    expect(shared.output).toContain("wrangler.jsonc binds both CRM_DB and GATEHOUSE_DB to the database");
    expect(shared.status).toBe(1);
  },
);
