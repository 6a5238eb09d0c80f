// Attacks on HTTP handling, sign-in and the ledger that once succeeded. Each test failed before its defence existed.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createBudgets } from "../../src/audit/budgets.ts";
import { seedShop } from "../support/seed.ts";
import { authorizeUrl, register } from "../support/oauth.ts";
import { ACCEPT, ORIGIN, callTool, flow, initialize, post2026, send, tokenOf } from "../support/worker.ts";

let token = "";
beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
});
const raw = async (path: string, init: { method: string; body: string; headers: Record<string, string> }) =>
  send(`${ORIGIN}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT, ...init.headers },
  });

describe("the Origin check", () => {
  it.each(["/mcp", "/mcp/", "/mcp/anything"])("refuses a foreign origin at %s", async (path) => {
    const response = await raw(path, {
      method: "POST",
      headers: { origin: "https://evil.example" },
      body: JSON.stringify(initialize()),
    });
    expect(response.status).not.toBe(200);
    expect(response.headers.get("access-control-allow-origin")).not.toBe("https://evil.example");
  });
});

describe("the authorization endpoint", () => {
  it("does not redirect to a self-registered client before the user has decided", async () => {
    const evil = {
      ...(await register(flow, { redirect_uris: ["https://phish.example/cb"] })),
      redirectUri: "https://phish.example/cb",
    };
    const page = await send(await authorizeUrl(flow, evil, { response_type: "token" }));
    expect(page.headers.get("location")).toBeNull();
  });
});

describe("the Content-Security-Policy of the consent page", () => {
  it("has only our own directives when the redirect URI contains a semicolon", async () => {
    const uri = "https://a;sandbox/cb";
    const client = { ...(await register(flow, { redirect_uris: [uri] })), redirectUri: uri };
    const page = await send(await authorizeUrl(flow, client));
    const names = (page.headers.get("content-security-policy") ?? "")
      .split(";")
      .map((part) => part.trim().split(" ")[0]);
    expect(names).toEqual(["default-src", "style-src", "form-action", "frame-ancestors", "base-uri", "img-src"]);
  });
});

describe("a JSON body sent to a form", () => {
  it.each(["/authorize", "/sign-in/callback", "/sign-out"])(
    "gets 400 at %s instead of an internal error",
    async (path) => {
      expect(
        (
          await send(`${ORIGIN}${path}`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: "{}",
          })
        ).status,
      ).toBe(400);
    },
  );
});

describe("the daily budget of rows", () => {
  it("refuses fetch and search when it is used up", async () => {
    const subject = token.split(":")[0] ?? "";
    await runInDurableObject(env.LEDGER.get(env.LEDGER.idFromName(subject)), (_object, state) => {
      createBudgets(state.storage.sql, sample.limits).add({ rows: 50_000, bytes: 0, calls: 0, reveals: 0 }, Date.now());
    });
    const refused = await callTool(token, "fetch", { id: "handbook/policies/returns.md" });
    expect(refused.wire).toContain("limit_reached");
    const searched = await callTool(token, "search", { query: "returns goods days anchors" });
    expect(searched.wire).toContain("limit_reached");
  });
});

describe("the audit record", () => {
  it("is not filled by a few calls with long URIs", async () => {
    const reviewer = await tokenOf("reviewer");
    let calls = 0;
    for (const size of [900_000, 100_000, 10_000, 1_000, 1]) {
      for (let isFull = false; !isFull && calls < 100; calls += 1) {
        const response = await post2026(reviewer, "resources/read", {
          uri: `gatehouse://document/handbook/${"a".repeat(size)}`,
        });
        isFull = (await response.text()).includes("The record of your calls is full");
      }
    }
    expect((await callTool(reviewer, "describe", {})).wire).not.toContain("record_full");
  }, 30_000);
  it("allows reading a row by the URI that fetch returned", async () => {
    const owner = await tokenOf("owner");
    const { result } = await callTool(owner, "fetch", { id: "shop.customers/1" });
    const { url }: { url: string } = JSON.parse(JSON.stringify(result["structuredContent"]));
    const response = await post2026(owner, "resources/read", { uri: url });
    // The URI that fetch returns must be readable as a resource.
    expect(await response.text()).toContain("Nora North");
  });
});

describe("a document id that KV does not accept as a key", () => {
  it.each(["handbook/.", "handbook/..", `handbook/${"k".repeat(600)}`])(
    "gets not_found instead of an internal error: %s",
    async (id) => {
      expect((await callTool(await tokenOf("owner"), "fetch", { id })).wire).toContain("not_found");
    },
  );
});
