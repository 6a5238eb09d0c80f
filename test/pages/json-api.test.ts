// The JSON API: what each user may do, the audit record of each request, and requests from other sites.
import { beforeAll, describe, expect, it } from "vitest";
import { ledgerOf, members, subjectIdOf } from "../support/members.ts";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, openSession, post, tokenOf } from "../support/worker.ts";

type Account = "owner" | "analyst" | "guest";
const people = new Map<Account, Person>();

beforeAll(async () => {
  await seedShop();
  for (const name of ["owner", "analyst", "guest"] as const) people.set(name, await personAt(`${name}@harbor.example`));
});

function signedInAs(name: Account): Person {
  const person = people.get(name);
  if (person === undefined) throw new Error(`${name} is not signed in`);
  return person;
}

async function outcomesOf(email: string, after = 0) {
  const records = await ledgerOf(await subjectIdOf(email)).listRecords(after, 1000);
  return records.map(({ body, seq }) => {
    const { attempt, outcome } = JSON.parse(body);
    return { seq, operation: attempt.operation, asked: attempt.asked, result: outcome.result, code: outcome.code };
  });
}

interface Scenario {
  readonly who: Account;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  readonly has?: readonly string[];
  readonly lacks?: readonly string[];
  readonly recorded: { readonly operation: string; readonly result: string; readonly code: string | null } | "none";
}

const NEW_PAT = { name: "nightly report", roles: ["analyst"], days: 30 };
const answered = (operation: string) => ({ operation, result: "answered", code: null });
const refused = (operation: string, code: string, result = "denied") => ({ operation, result, code });

const SCENARIOS: readonly Scenario[] = [
  {
    who: "guest",
    method: "GET",
    path: "/tokens",
    status: 200,
    has: ['"tokens":[]'],
    recorded: answered("list access tokens"),
  },
  {
    who: "guest",
    method: "GET",
    path: "/connections",
    status: 200,
    has: ['"connections":['],
    recorded: "none",
  },
  {
    who: "guest",
    method: "POST",
    path: "/tokens",
    body: NEW_PAT,
    status: 400,
    has: ["you do not have analyst", "You have none.", "gives roles"],
    recorded: refused("make access token", "invalid_input"),
  },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: { ...NEW_PAT, roles: ["analyst", "owner"] },
    status: 400,
    has: ["you do not have owner", "You have: analyst."],
    recorded: refused("make access token", "invalid_input"),
  },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: { ...NEW_PAT, days: 91 },
    status: 400,
    has: ["at most 90 days"],
    recorded: refused("make access token", "invalid_input", "failed"),
  },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: { ...NEW_PAT, roles: [] },
    status: 400,
    has: ["roles:"],
    recorded: "none",
  },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: { ...NEW_PAT, ownerId: "somebody" },
    status: 400,
    recorded: "none",
  },
  { who: "analyst", method: "POST", path: "/tokens", body: "{", status: 400, has: ["not JSON"], recorded: "none" },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: `{"name":"${"x".repeat(20_000)}"}`,
    status: 400,
    has: ["longer than"],
    recorded: "none",
  },
  {
    who: "analyst",
    method: "POST",
    path: "/tokens",
    body: NEW_PAT,
    status: 201,
    has: ['"token":"gth_'],
    recorded: answered("make access token"),
  },
  {
    who: "analyst",
    method: "GET",
    path: "/tokens",
    status: 200,
    has: ["nightly report", '"usedMs":null'],
    lacks: ["gth_", "hash"],
    recorded: answered("list access tokens"),
  },
  {
    who: "guest",
    method: "GET",
    path: "/tokens",
    status: 200,
    lacks: ["nightly report"],
    recorded: answered("list access tokens"),
  },
  {
    who: "analyst",
    method: "DELETE",
    path: "/tokens/0000",
    status: 404,
    recorded: refused("revoke access token", "not_found"),
  },
  {
    who: "analyst",
    method: "DELETE",
    path: "/connections/none",
    status: 404,
    recorded: "none",
  },
  {
    who: "analyst",
    method: "GET",
    path: "/members",
    status: 403,
    has: ["not_allowed", "Only owner may do this", "The data team"],
    lacks: ["support@"],
    recorded: refused("list members", "not_allowed"),
  },
  {
    who: "guest",
    method: "PUT",
    path: "/members/guest@harbor.example/roles/owner",
    status: 403,
    recorded: refused("add role", "not_allowed"),
  },
  {
    who: "analyst",
    method: "DELETE",
    path: "/members/owner@harbor.example",
    status: 403,
    recorded: refused("remove member", "not_allowed"),
  },
  {
    who: "analyst",
    method: "PATCH",
    path: "/members/analyst@harbor.example/attributes",
    body: { region: "north" },
    status: 403,
    recorded: refused("set attributes", "not_allowed"),
  },
  {
    who: "owner",
    method: "GET",
    path: "/members",
    status: 200,
    has: ["support@harbor.example"],
    recorded: answered("list members"),
  },
  {
    who: "owner",
    method: "PUT",
    path: "/members/new@harbor.example/roles/analist",
    status: 400,
    has: ["There is no role analist. There are: analyst, support, refund-reviewer, owner."],
    recorded: refused("add role", "invalid_input", "failed"),
  },
  { who: "owner", method: "PUT", path: "/members/not-an-email/roles/analyst", status: 400, recorded: "none" },
  ...[
    "\u212Aate@red.example",
    "kate@red.example ",
    "kate@red.example.",
    '"kate"@red.example',
    "kate@red.example\n",
  ].map((address): Scenario => ({
    who: "owner",
    method: "PUT",
    path: `/members/${encodeURIComponent(address)}/roles/analyst`,
    status: 400,
    has: ["is not an email address. An address is written in ASCII"],
    recorded: "none",
  })),
  {
    who: "owner",
    method: "PUT",
    path: "/members/New@Harbor.Example/roles/analyst",
    status: 200,
    has: ["at the next request"],
    recorded: answered("add role"),
  },
  {
    who: "owner",
    method: "PATCH",
    path: "/members/new@harbor.example/attributes",
    body: { regoin: "north" },
    status: 400,
    has: ["declares no attribute regoin", "region"],
    recorded: refused("set attributes", "invalid_input", "failed"),
  },
  {
    who: "owner",
    method: "PATCH",
    path: "/members/new@harbor.example/attributes",
    body: { region: ["north", "east"] },
    status: 200,
    recorded: answered("set attributes"),
  },
  {
    who: "owner",
    method: "GET",
    path: "/members",
    status: 200,
    has: ['"email":"new@harbor.example"', '"role":"analyst","by":"owner@harbor.example"', '"region":["north","east"]'],
    recorded: answered("list members"),
  },
  {
    who: "owner",
    method: "DELETE",
    path: "/members/new@harbor.example/roles/owner",
    status: 404,
    recorded: refused("remove role", "not_found"),
  },
  {
    who: "owner",
    method: "DELETE",
    path: "/members/support@harbor.example/roles/support",
    status: 404,
    has: ["The policy file names this member"],
    recorded: refused("remove role", "not_found"),
  },
  {
    who: "owner",
    method: "DELETE",
    path: "/members/new@harbor.example/roles/analyst",
    status: 200,
    recorded: answered("remove role"),
  },
  {
    who: "owner",
    method: "DELETE",
    path: "/members/new@harbor.example",
    status: 200,
    recorded: answered("remove member"),
  },
  {
    who: "owner",
    method: "DELETE",
    path: "/members/new@harbor.example",
    status: 404,
    recorded: refused("remove member", "not_found"),
  },
  { who: "owner", method: "GET", path: "/nothing", status: 404, recorded: "none" },
];

describe("the API", () => {
  it.each(SCENARIOS)("answers $status when $who sends $method $path $body", async (scenario) => {
    const { who, method, path, body, status, has = [], lacks = [], recorded } = scenario;
    const { email, api } = signedInAs(who);
    const before = (await outcomesOf(email)).length;
    const reply = await api(method, path, body);
    const text = JSON.stringify(reply.body);
    expect(reply.status, text).toBe(status);
    expect(reply.headers.get("cache-control")).toBe("no-store");
    expect(reply.headers.get("access-control-allow-origin")).toBeNull();
    for (const expected of has) expect(text).toContain(expected);
    for (const forbidden of lacks) expect(text).not.toContain(forbidden);
    const records = await outcomesOf(email, before);
    expect(records).toMatchObject(recorded === "none" ? [] : [recorded]);
  });

  it("records neither a personal access token nor the value of an attribute", async () => {
    const created = await signedInAs("analyst").api("POST", "/tokens", NEW_PAT);
    const all = JSON.stringify([await outcomesOf("analyst@harbor.example"), await outcomesOf("owner@harbor.example")]);
    expect(all).toContain("nightly report");
    expect(all).not.toContain(String(created.body["token"]).slice(4));
    expect(all).not.toContain("east");
  });
});

describe("a change of members through the API", () => {
  it("applies at the next request of a user with an open session", async () => {
    const guest = await tokenOf("guest");
    const session = await openSession(guest);
    const callDescribe = async (): Promise<string> => {
      const call = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "describe", arguments: {} } };
      return (await post(guest, call, { "mcp-session-id": session })).text();
    };
    expect(await callDescribe()).not.toContain("shop.orders");
    await signedInAs("owner").api("PUT", "/members/guest@harbor.example/roles/analyst");
    expect(await callDescribe()).toContain("shop.orders");
    await signedInAs("owner").api("DELETE", "/members/guest@harbor.example/roles/analyst");
    expect(await callDescribe()).not.toContain("shop.orders");
  });

  it("gives and removes the owner role", async () => {
    const [owner, guest] = [signedInAs("owner"), signedInAs("guest")];
    await owner.api("PUT", "/members/guest@harbor.example/roles/owner");
    expect((await guest.api("GET", "/members")).status).toBe(200);
    await owner.api("DELETE", "/members/guest@harbor.example/roles/owner");
    expect((await guest.api("GET", "/members")).status).toBe(403);
  });
});

describe("a request that no page of this server sent", () => {
  const change = async (headers: Record<string, string | undefined>) =>
    signedInAs("owner").api("PUT", "/members/victim@harbor.example/roles/owner", undefined, headers);

  it.each<[string, Record<string, string | undefined>, number, string]>([
    ["no cookie", { cookie: undefined }, 401, "not_signed_in"],
    ["a made-up cookie", { cookie: `__Host-gatehouse-session=${"0".repeat(32)}` }, 401, "not_signed_in"],
    ["no CSRF token", { "x-gatehouse-csrf": undefined }, 403, "not_allowed"],
    ["an empty CSRF token", { "x-gatehouse-csrf": "" }, 403, "not_allowed"],
    ["another origin", { origin: "https://evil.example" }, 403, "not_allowed"],
    ["the origin null", { origin: "null" }, 403, "not_allowed"],
    ["an origin with this origin as a prefix", { origin: `${ORIGIN}.evil.example` }, 403, "not_allowed"],
    ["no origin", { origin: undefined }, 403, "not_allowed"],
    ["another site in Sec-Fetch-Site", { "sec-fetch-site": "cross-site" }, 403, "not_allowed"],
    ["a sibling site in Sec-Fetch-Site", { "sec-fetch-site": "same-site" }, 403, "not_allowed"],
  ])("is refused with %s, and changes nothing", async (_name, headers, status, code) => {
    const reply = await change(headers);
    expect(reply.status).toBe(status);
    expect(reply.body).toMatchObject({ error: { code } });
    expect(await members.find("victim@harbor.example")).toBeUndefined();
  });

  it("is refused with another user's CSRF token", async () => {
    expect((await change({ "x-gatehouse-csrf": signedInAs("analyst").csrfToken })).status).toBe(403);
  });

  it("is refused with a content type that forms of other sites can send", async () => {
    const { api } = signedInAs("analyst");
    const reply = await api("POST", "/tokens", "name=x", { "content-type": "text/plain" });
    expect(reply.status).toBe(400);
    expect(reply.body).toMatchObject({ error: { code: "invalid_input" } });
  });

  it("is refused with an OAuth access token, with or without a session cookie", async () => {
    const bearer = `Bearer ${await tokenOf("owner")}`;
    for (const cookie of [undefined, signedInAs("owner").cookie])
      expect((await change({ cookie, authorization: bearer })).status).toBe(401);
    expect(await members.find("victim@harbor.example")).toBeUndefined();
  });

  it("gets no CORS headers for a preflight", async () => {
    const reply = await signedInAs("owner").api("OPTIONS", "/members", undefined, {
      origin: "https://evil.example",
      "access-control-request-method": "GET",
    });
    expect(reply.status).toBe(403);
    expect([...reply.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});
