// The example personal-access-token: what its README shows, with its program running in the test, and what the program cannot read.
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import readme from "../../examples/personal-access-token/README.md?raw";
import config from "../../examples/personal-access-token/gatehouse.config.ts";
import schema from "../../examples/personal-access-token/schema.sql?raw";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { newId } from "../../src/lib/ids.ts";
import { generatePat, hashPat } from "../../src/personal-access-tokens/pat-text.ts";
import { callTool, createTables, expectShownAnswer, listShownCalls, serveExample } from "../support/examples.ts";
import type { CallAs } from "../support/examples.ts";
import { codeBlocks } from "../support/markdown.ts";
import { accessTokens, members } from "../support/members.ts";

/** Imported by its path, because it uses Node's `process`, which is not typed in tests of the Worker. */
const PROGRAM = "../../examples/personal-access-token/order-report.ts";
const HIDDEN = /Almeida|Berg|Chen|Quay|Rope|Mill|Full name|Delivery address/;
const { handler } = createGatehouse(config);
const callAsUser = serveExample(config);

interface CreatedPat {
  readonly id: string;
  readonly ownerId: string;
  readonly text: string;
}

/** Creates a personal access token as `npm run token` does, for an owner who has signed in. */
async function createPat(email: string, role: string): Promise<CreatedPat> {
  const [id, ownerId, text, nowMs] = [newId(), newId(), generatePat(), Date.now()];
  await members.registerSubject({ subjectId: ownerId, email, groups: [], seenMs: nowMs });
  const times = { nowMs, expiresMs: nowMs + 86_400_000 };
  await accessTokens.add(
    { id, hash: await hashPat(text), ownerId, name: "order report", roles: [role], by: "operator", ...times },
    { maxActive: 1, maxPerDay: 1 },
  );
  return { id, ownerId, text };
}

async function serve(request: Request): Promise<Response> {
  return handler.fetch(request, env, createExecutionContext());
}

const pats = new Map<string, CreatedPat>();
const getPat = (caller: string): CreatedPat => {
  const pat = pats.get(caller);
  if (pat === undefined) throw new Error(`no personal access token of ${caller}`);
  return pat;
};

/** Calls a tool as a user, or with a personal access token where the README writes "PAT of". */
const callAs: CallAs = async (caller, tool, args) => {
  const [, owner] = /^PAT of (\S+)$/.exec(caller) ?? [];
  if (owner === undefined) return callAsUser(caller, tool, args);
  return callTool(serve, tool, args, { authorization: `Bearer ${getPat(owner).text}` });
};

beforeAll(async () => {
  await createTables(schema);
  pats.set("omar@example.com", await createPat("omar@example.com", "figures"));
  pats.set("fred@example.com", await createPat("fred@example.com", "dispatch"));
});

describe("the example personal-access-token", () => {
  it.each(listShownCalls(readme))("gives the answer that its README shows to %s", async (_title, call) =>
    expectShownAnswer(callAs, call),
  );

  it.each([
    ["PAT of omar@example.com", "query", { source: "shop", sql: "SELECT customer, address FROM orders" }],
    ["PAT of omar@example.com", "fetch", { id: "shop.orders/1" }],
    ["PAT of omar@example.com", "describe", { dataset: "shop.orders" }],
    ["PAT of fred@example.com", "query", { source: "shop", sql: "SELECT * FROM orders" }],
    ["PAT of fred@example.com", "fetch", { id: "shop.orders/1" }],
  ])("shows a %s no name and no address when calling %s with %j", async (caller, tool, args) => {
    expect((await callAs(caller, tool, args)).wire).not.toMatch(HIDDEN);
  });
});

describe("the program order-report.ts", () => {
  const printed: string[] = [];

  beforeEach(() => {
    vi.stubGlobal("fetch", async (url: string | URL, init?: RequestInit) => serve(new Request(url, init)));
    printed.length = 0;
    // The Worker logs its calls to the same console.
    vi.spyOn(console, "log").mockImplementation(
      (line) => void (line.startsWith('{"event":"call_') || printed.push(line)),
    );
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  async function runProgram(pat: string): Promise<void> {
    vi.stubEnv("GATEHOUSE_TOKEN", pat);
    // A module runs once, so each run imports another URL.
    await import(/* @vite-ignore */ `${PROGRAM}?run=${crypto.randomUUID()}`);
  }

  it("prints what the README shows", async () => {
    await runProgram(getPat("omar@example.com").text);
    expect(codeBlocks(readme, "console")).toEqual([`${printed.join("\n")}\n`]);
  });

  it("fails with the message of the server when the owner does not have the role", async () => {
    await expect(runProgram(getPat("fred@example.com").text)).rejects.toThrow("This personal access token has no role");
    expect(printed).toEqual([]);
  });

  it("fails when the personal access token is revoked", async () => {
    const { id, ownerId, text } = await createPat("omar@example.com", "figures");
    await accessTokens.revoke(id, ownerId, "operator", Date.now());
    await expect(runProgram(text)).rejects.toThrow("Unauthorized");
    expect(printed).toEqual([]);
  });
});
