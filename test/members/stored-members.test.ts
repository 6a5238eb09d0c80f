// Rows of the members table that do not fit the current policy or cannot be read: they give no permissions, do not affect other members,
// and are reported to the operator.
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { reportMemberProblems } from "../../src/members/member-report.ts";
import { addRole, setAttributes } from "../../src/members/member-statements.ts";
import { members, roleChanges } from "../support/members.ts";
import { personAt } from "../support/browser.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, tokenOf } from "../support/worker.ts";
import sample from "../../sample/gatehouse.config.ts";

const GUEST = "guest@harbor.example";
const by = { by: "operator", nowMs: 1_000 };

/** Writes a row without any check, as an older version or an operator's SQL could. */
async function write(email: string, roles: string, attributes: string): Promise<void> {
  await env.GATEHOUSE_DB.prepare(
    "INSERT INTO member (email, roles, attributes, changed_by, changed_ms) VALUES (?, ?, ?, 'operator', 1)",
  )
    .bind(email, roles, attributes)
    .run();
}

async function reportLines(): Promise<readonly string[]> {
  const lines: string[] = [];
  await reportMemberProblems({ policy: sample.policy, members, log: (line) => lines.push(line) });
  return lines;
}

beforeAll(seedShop);

describe("a stored member", () => {
  it("sees nothing through a rule that its attribute does not fit, and is reported without the value", async () => {
    const guest = await tokenOf("guest");
    await members.applyChange(addRole(GUEST, "support", by));
    await members.applyChange(setAttributes(GUEST, { region: 5_551_234 }, by));
    await roleChanges().propagate();
    const { wire } = await callTool(guest, "query", { source: "shop", sql: "SELECT id FROM customers" });
    expect(wire).toContain("There is no table customers here that you may read.");
    const lines = await reportLines();
    expect(lines).toContain(
      [
        "member_ineffective: members=1: the attribute region does not fit.",
        "It must be text, because the rule support/allow/read/shop.customers compares it with shop.customers.region, which is text.",
      ].join(" "),
    );
    expect(lines.join()).not.toMatch(/5551234|guest|harbor/);
  });

  it("with a problem is reported in the log by the upkeep", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
      expect(log.mock.calls.flat()).toContainEqual(expect.stringMatching(/^member_ineffective: members=1: /));
    } finally {
      log.mockRestore();
    }
  });

  it.each([
    ["attributes that are not values", "{}", '{"region":{"a":1},"regions":["a",["b"]],"empty":null}'],
    ["attributes that are a list", "{}", "[1]"],
    ["roles without author and time", '{"owner":1,"analyst":{"by":1}}', "{}"],
    ["roles that are a list", '["owner"]', "{}"],
  ])("with %s gives nothing, is reported, and does not affect other members", async (_case, roles, attributes) => {
    const email = `${crypto.randomUUID()}@x.example`;
    const reported = await reportLines();
    await write(email, roles, attributes);
    expect(await members.read(email)).toMatchObject({ roles: [], attributes: {} });
    expect((await members.list()).map((member) => member.email)).toContain(email);
    const otherEmail = `${crypto.randomUUID()}@x.example`;
    await members.applyChange(addRole(otherEmail, "analyst", by));
    await roleChanges().propagate();
    expect(await members.listPending(10)).toEqual([]);
    const added = (await reportLines()).filter((line) => !reported.includes(line));
    expect(added.join()).toContain("cannot be read");
    expect(added.join()).not.toContain(email);
  });

  it("gives its readable roles and attributes when others cannot be read", async () => {
    const email = `${crypto.randomUUID()}@x.example`;
    await write(email, '{"owner":1,"analyst":{"by":"operator","atMs":1}}', '{"region":"north","level":{}}');
    expect(await members.read(email)).toMatchObject({ roles: ["analyst"], attributes: { region: "north" } });
  });

  it.each(["Kate@red.example", "\u212Aate@red.example", "kate@red.example "])(
    "with the address %j gives kate@red.example nothing, and is reported",
    async (email) => {
      await write(email, '{"owner":{"by":"operator","atMs":1}}', '{"region":"north"}');
      expect(await members.read("kate@red.example")).toEqual({ roles: [], attributes: {}, version: 0 });
      expect((await reportLines()).join("\n")).toContain("matches no user");
    },
  );
});

describe("the members API", () => {
  it.each([
    [{ region: 5 }, "The attribute region is 5. It must be text, because the rule support/allow/read/shop.customers"],
    [{ region: true }, "The attribute region is true."],
    [{ region: ["north", 5] }, 'The attribute region is [\\"north\\",5].'],
  ])("refuses the attributes %j, and changes nothing", async (attributes, message) => {
    const owner = await personAt("owner@harbor.example");
    const reply = await owner.api("PATCH", "/members/typed@harbor.example/attributes", attributes);
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.body)).toContain(message);
    expect(JSON.stringify(reply.body)).toContain("shop.customers.region, which is text.");
    expect(await members.find("typed@harbor.example")).toBeUndefined();
  });

  it("accepts an attribute that fits, and warns of a list when the rule compares one value", async () => {
    const owner = await personAt("owner@harbor.example");
    const set = async (attributes: object) =>
      (await owner.api("PATCH", "/members/listed@harbor.example/attributes", attributes)).body;
    expect(await set({ region: "north" })).toEqual({ acts: "at the next request", warnings: [] });
    expect(await set({ region: null })).toEqual({ acts: "at the next request", warnings: [] });
    expect(await set({ region: ["north"] })).toMatchObject({ warnings: [expect.stringContaining("grants nothing")] });
  });

  it("lists the problems of stored members", async () => {
    const owner = await personAt("owner@harbor.example");
    const { body } = await owner.api("GET", "/members");
    expect(body["problems"]).toContainEqual({
      email: GUEST,
      problem: expect.stringContaining("the attribute region does not fit"),
    });
  });
});
