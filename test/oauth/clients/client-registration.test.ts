// Registrations of each known client, and registrations that are refused.
import { describe, expect, it } from "vitest";
import { authorizeUrl } from "../../support/oauth.ts";
import { flow, send } from "../../support/worker.ts";

const CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback";

/** Client → the redirect URIs that it registers, and those that authorization requests may use. */
const CLIENTS: readonly (readonly [
  string,
  { readonly registered: readonly string[]; readonly usable: readonly string[] },
])[] = [
  [
    "Claude.ai, Desktop, mobile",
    {
      registered: ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
      usable: ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
    },
  ],
  [
    "Claude Code",
    {
      registered: ["http://localhost:54545/callback"],
      usable: ["http://localhost:54545/callback", "http://localhost:61001/callback"],
    },
  ],
  [
    "Codex",
    {
      registered: ["http://127.0.0.1:1455/callback"],
      usable: ["http://127.0.0.1:1455/callback", "http://127.0.0.1:40001/callback"],
    },
  ],
  [
    "ChatGPT",
    {
      registered: ["https://chatgpt.com/connector/oauth/a1B2c3"],
      usable: ["https://chatgpt.com/connector/oauth/a1B2c3"],
    },
  ],
  [
    "Cursor",
    {
      registered: [CURSOR, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
      usable: [CURSOR, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
    },
  ],
  [
    "VS Code",
    {
      registered: ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
      usable: ["http://127.0.0.1:33418/", "http://127.0.0.1:50123/", "https://vscode.dev/redirect"],
    },
  ],
  [
    "Gemini CLI",
    { registered: ["http://localhost:7777/oauth/callback"], usable: ["http://localhost:7777/oauth/callback"] },
  ],
  [
    "opencode",
    {
      registered: ["http://127.0.0.1:19876/mcp/oauth/callback"],
      usable: ["http://127.0.0.1:19876/mcp/oauth/callback"],
    },
  ],
  [
    "mcp-remote",
    { registered: ["http://localhost:3334/oauth/callback"], usable: ["http://localhost:3334/oauth/callback"] },
  ],
  [
    "Inspector",
    { registered: ["http://localhost:6274/oauth/callback"], usable: ["http://localhost:6274/oauth/callback"] },
  ],
];

async function sendRegistration(metadata: unknown): Promise<Response> {
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

describe.each(CLIENTS)("%s", (_name, { registered, usable }) => {
  it("can register, and is redirected to its own URIs only", async () => {
    const response = await sendRegistration(publicClient(registered));
    expect(response.status).toBe(201);
    const { client_id: clientId } = await response.json<{ client_id: string }>();
    for (const redirectUri of usable) {
      const page = await send(await authorizeUrl(flow, { clientId, redirectUri }));
      expect({ redirectUri, status: page.status }).toEqual({ redirectUri, status: 200 });
    }
    for (const redirectUri of [...registered.filter((uri) => !usable.includes(uri)), "https://evil.example/callback"]) {
      const page = await send(await authorizeUrl(flow, { clientId, redirectUri }));
      expect({ redirectUri, status: page.status }).toEqual({ redirectUri, status: 400 });
      expect(page.headers.get("location")).toBeNull();
    }
  });
});

describe("an unusable redirect URI", () => {
  const USABLE = "http://127.0.0.1:45454/callback";
  const UNUSABLE: readonly unknown[] = [
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

  it.each(UNUSABLE)("is dropped beside a usable one: %j", async (redirectUri) => {
    const response = await sendRegistration(publicClient([redirectUri, USABLE]));
    expect(response.status).toBe(201);
    const { redirect_uris: registeredUris } = await response.json<{ redirect_uris: readonly string[] }>();
    expect(registeredUris).toEqual([USABLE]);
  });

  it.each([...UNUSABLE, "cursors://a.b/callback", "http://client.example/callback", "http://192.168.1.7/callback"])(
    "is refused when it is the only one: %j",
    async (redirectUri) => {
      const response = await sendRegistration(publicClient([redirectUri]));
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: "invalid_client_metadata" });
    },
  );

  it.each(["http://client.example/callback", "http://192.168.1.7/callback"])(
    "is never sent a code when it was registered beside a usable one: %s",
    async (redirectUri) => {
      const response = await sendRegistration(publicClient([redirectUri, USABLE]));
      expect(response.status).toBe(201);
      const { client_id: clientId } = await response.json<{ client_id: string }>();
      expect((await send(await authorizeUrl(flow, { clientId, redirectUri }))).status).toBe(400);
    },
  );
});

describe("an invalid registration", () => {
  it.each([
    ["is not JSON", "{"],
    ["is not an object", "[]"],
    ["has no redirect_uris", {}],
    ["has redirect_uris that are not a list", { redirect_uris: "https://client.example/callback" }],
    ["has an empty list of redirect_uris", { redirect_uris: [] }],
  ])("is refused when it %s", async (_name, metadata) => {
    expect((await sendRegistration(metadata)).status).toBe(400);
  });

  it("is refused when it is too large", async () => {
    expect(
      (await sendRegistration({ ...publicClient(["http://127.0.0.1:1/callback"]), client_name: "x".repeat(1_100_000) }))
        .status,
    ).toBe(413);
  });
});
