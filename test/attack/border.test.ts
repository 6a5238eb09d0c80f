// Attacks on the HTTP border, on sign-in and on the ledger that once worked. Each failed before it was held.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
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

describe("B1: the Origin check", () => {
  it.each(["/mcp", "/mcp/", "/mcp/anything"])(
    "holds on %s, wherever the OAuth provider hands a request to MCP",
    async (path) => {
      const response = await raw(path, {
        method: "POST",
        headers: { origin: "https://evil.example" },
        body: JSON.stringify(initialize()),
      });
      expect(response.status).not.toBe(200);
      expect(response.headers.get("access-control-allow-origin")).not.toBe("https://evil.example");
    },
  );
});

describe("C2: open redirect", () => {
  it("a self-registered program cannot make us send a browser to it before the person decided anything", async () => {
    const evil = {
      ...(await register(flow, { redirect_uris: ["https://phish.example/cb"] })),
      redirectUri: "https://phish.example/cb",
    };
    const page = await send(await authorizeUrl(flow, evil, { response_type: "token" }));
    expect(page.headers.get("location")).toBeNull();
  });
});

describe("C3: the Content-Security-Policy of the consent page", () => {
  it("has only our own directives, whatever the redirect URI is", async () => {
    const uri = "https://a;sandbox/cb";
    const client = { ...(await register(flow, { redirect_uris: [uri] })), redirectUri: uri };
    const page = await send(await authorizeUrl(flow, client));
    const names = (page.headers.get("content-security-policy") ?? "")
      .split(";")
      .map((part) => part.trim().split(" ")[0]);
    expect(names).toEqual(["default-src", "style-src", "form-action", "frame-ancestors", "base-uri"]);
  });
});

describe("C4: forms of another kind", () => {
  it.each(["/authorize", "/sign-in/callback", "/sign-out"])("are a 400 page at %s, not a defect", async (path) => {
    expect(
      (await send(`${ORIGIN}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }))
        .status,
    ).toBe(400);
  });
});

describe("D1: the day's rows", () => {
  it("are used up for search too", async () => {
    const subject = token.split(":")[0] ?? "";
    await runInDurableObject(env.LEDGER.get(env.LEDGER.idFromName(subject)), (_object, state) => {
      const day = new Date().toISOString().slice(0, 10);
      state.storage.sql.exec(
        "INSERT INTO budget (day, rows) VALUES (?1, 50000) ON CONFLICT (day) DO UPDATE SET rows = 50000",
        day,
      );
    });
    const refused = await callTool(token, "fetch", { id: "handbook/policies/returns.md" });
    expect(refused.wire).toContain("limit_reached");
    const searched = await callTool(token, "search", { query: "returns goods days anchors" });
    expect(searched.wire).toContain("limit_reached");
  });
});

describe("D2: the record", () => {
  it("cannot be filled up by a few long addresses", async () => {
    const reviewer = await tokenOf("reviewer");
    let calls = 0;
    for (const size of [900_000, 100_000, 10_000, 1_000, 1]) {
      for (let full = false; !full && calls < 100; calls += 1) {
        const response = await post2026(reviewer, "resources/read", {
          uri: `gatehouse://document/handbook/${"a".repeat(size)}`,
        });
        full = (await response.text()).includes("The record of your calls is full");
      }
    }
    expect((await callTool(reviewer, "describe", {})).wire).not.toContain("record_full");
  }, 30_000);
  it("notes an attempt on a row by its own address", async () => {
    const owner = await tokenOf("owner");
    const { result } = await callTool(owner, "fetch", { id: "shop.customers/1" });
    const { url }: { url: string } = JSON.parse(JSON.stringify(result["structuredContent"]));
    const response = await post2026(owner, "resources/read", { uri: url });
    // The address that fetch itself gives names something that can be read.
    expect(await response.text()).toContain("Nora North");
  });
});

describe("E1: document keys that KV does not take", () => {
  it.each(["handbook/.", "handbook/..", `handbook/${"k".repeat(600)}`])("%s is not_found, not a defect", async (id) => {
    expect((await callTool(await tokenOf("owner"), "fetch", { id })).wire).toContain("not_found");
  });
});
