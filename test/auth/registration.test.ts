// Registration as each known client asks for it, and what no client may register.
import { describe, expect, it } from "vitest";
import { authorizeUrl } from "../support/oauth.ts";
import { flow, send } from "../support/worker.ts";

const CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback";

/** Client → what it registers, and which of its addresses an answer may go to. */
const CLIENTS: readonly (readonly [
  string,
  { readonly asks: readonly string[]; readonly usable: readonly string[] },
])[] = [
  [
    "Claude.ai, Desktop, mobile",
    {
      asks: ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
      usable: ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
    },
  ],
  [
    "Claude Code",
    {
      asks: ["http://localhost:54545/callback"],
      usable: ["http://localhost:54545/callback", "http://localhost:61001/callback"],
    },
  ],
  [
    "Codex",
    {
      asks: ["http://127.0.0.1:1455/callback"],
      usable: ["http://127.0.0.1:1455/callback", "http://127.0.0.1:40001/callback"],
    },
  ],
  [
    "ChatGPT",
    { asks: ["https://chatgpt.com/connector/oauth/a1B2c3"], usable: ["https://chatgpt.com/connector/oauth/a1B2c3"] },
  ],
  [
    "Cursor",
    {
      asks: [CURSOR, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
      usable: [CURSOR, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
    },
  ],
  [
    "VS Code",
    {
      asks: ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
      usable: ["http://127.0.0.1:33418/", "http://127.0.0.1:50123/", "https://vscode.dev/redirect"],
    },
  ],
  ["Gemini CLI", { asks: ["http://localhost:7777/oauth/callback"], usable: ["http://localhost:7777/oauth/callback"] }],
  [
    "opencode",
    { asks: ["http://127.0.0.1:19876/mcp/oauth/callback"], usable: ["http://127.0.0.1:19876/mcp/oauth/callback"] },
  ],
  ["mcp-remote", { asks: ["http://localhost:3334/oauth/callback"], usable: ["http://localhost:3334/oauth/callback"] }],
  ["Inspector", { asks: ["http://localhost:6274/oauth/callback"], usable: ["http://localhost:6274/oauth/callback"] }],
];

async function ask(metadata: unknown): Promise<Response> {
  return send(`${flow.origin}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof metadata === "string" ? metadata : JSON.stringify(metadata),
  });
}

const publicClient = (redirectUris: readonly unknown[]): object => ({
  client_name: "A client",
  redirect_uris: redirectUris,
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
});

describe.each(CLIENTS)("%s", (_name, { asks, usable }) => {
  it("registers, and is answered where it waits", async () => {
    const response = await ask(publicClient(asks));
    expect(response.status).toBe(201);
    const { client_id: clientId } = await response.json<{ client_id: string }>();
    for (const redirectUri of usable) {
      const page = await send(await authorizeUrl(flow, { clientId, redirectUri }));
      expect({ redirectUri, status: page.status }).toEqual({ redirectUri, status: 200 });
    }
    for (const redirectUri of [...asks.filter((uri) => !usable.includes(uri)), "https://evil.example/callback"]) {
      const page = await send(await authorizeUrl(flow, { clientId, redirectUri }));
      expect({ redirectUri, status: page.status }).toEqual({ redirectUri, status: 400 });
      expect(page.headers.get("location")).toBeNull();
    }
  });
});

describe("a redirect URI that nobody could use", () => {
  const GOOD = "http://127.0.0.1:45454/callback";
  const BAD: readonly unknown[] = [
    "javascript:alert(1)",
    "data:text/html,x",
    "https://client.example/callback#fragment",
    "https://user:password@client.example/callback",
    "not a uri",
    "",
    7,
    null,
    "https://client.example/\u0000",
  ];

  it.each(BAD)("%j does not fail the registration of those that are good", async (bad) => {
    const response = await ask(publicClient([bad, GOOD]));
    expect(response.status).toBe(201);
    const { redirect_uris: registered } = await response.json<{ redirect_uris: readonly string[] }>();
    expect(registered).toEqual([GOOD]);
  });

  it.each([...BAD, "cursors://a.b/callback", "http://client.example/callback", "http://192.168.1.7/callback"])(
    "%j alone is refused",
    async (bad) => {
      const response = await ask(publicClient([bad]));
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: "invalid_client_metadata" });
    },
  );

  it.each(["http://client.example/callback", "http://192.168.1.7/callback"])(
    "%s beside a good one is never sent a code",
    async (redirectUri) => {
      const response = await ask(publicClient([redirectUri, GOOD]));
      expect(response.status).toBe(201);
      const { client_id: clientId } = await response.json<{ client_id: string }>();
      expect((await send(await authorizeUrl(flow, { clientId, redirectUri }))).status).toBe(400);
    },
  );
});

describe("a registration that is not one", () => {
  it.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["no addresses", {}],
    ["addresses that are no list", { redirect_uris: "https://client.example/callback" }],
    ["no address in the list", { redirect_uris: [] }],
  ])("%s is refused", async (_what, metadata) => {
    expect((await ask(metadata)).status).toBe(400);
  });

  it("too large a one is refused", async () => {
    expect(
      (await ask({ ...publicClient(["http://127.0.0.1:1/callback"]), client_name: "x".repeat(1_100_000) })).status,
    ).toBe(413);
  });
});
