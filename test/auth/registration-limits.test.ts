// What one registration may store and for how long: caps on the request, and clients that go when they are not used.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { authorizeUrl, readJson, register, requestToken, signIn, exchangeCode } from "../support/oauth.ts";
import { flow, send } from "../support/worker.ts";

const GOOD = "http://127.0.0.1:45454/callback";
const DAY_MS = 24 * 3600 * 1000;
const ANALYST = "analyst@harbor.example";

const METADATA = {
  client_name: "A client",
  redirect_uris: [GOOD],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
};

async function ask(metadata: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const body = typeof metadata === "string" ? metadata : JSON.stringify(metadata);
  const all = { "content-type": "application/json", ...headers };
  return send(`${flow.origin}/oauth/register`, { method: "POST", headers: all, body });
}

async function registeredWith(members: Record<string, unknown>): Promise<Record<string, unknown>> {
  const response = await ask({ ...METADATA, ...members });
  expect(response.status).toBe(201);
  return response.json();
}

async function expectRefused(response: Response, status: number): Promise<void> {
  expect(response.status).toBe(status);
  const body: Record<string, unknown> = await response.json();
  expect(body["error"]).toBe(status === 413 ? "invalid_request" : "invalid_client_metadata");
  expect(body["error_description"]).toEqual(expect.any(String));
  expect(body).not.toHaveProperty("client_id");
}

/** A registration of exactly so many bytes. */
function sized(bytes: number): string {
  const missing = bytes - JSON.stringify({ ...METADATA, software_id: "" }).length;
  return JSON.stringify({ ...METADATA, software_id: "x".repeat(missing) });
}

describe("the size of a registration", () => {
  it("takes a body of 16 KiB and refuses one byte more", async () => {
    expect((await ask(sized(16_384))).status).toBe(201);
    await expectRefused(await ask(sized(16_385)), 413);
  });

  it("counts bytes, not characters", async () => {
    const metadata = { ...METADATA, software_id: "é".repeat(8192) };
    expect(JSON.stringify(metadata).length).toBeLessThan(16_384);
    await expectRefused(await ask(metadata), 413);
  });

  it("counts what comes when the body declares no length", async () => {
    const chunk = new TextEncoder().encode(" ".repeat(1024));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        if (sent > 100) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const headers = { "content-type": "application/json" };
    await expectRefused(await send(`${flow.origin}/oauth/register`, { method: "POST", headers, body }), 413);
    // It stopped reading at the limit.
    expect(sent).toBeLessThan(100);
  });

  it.each([
    ["a body that is too large", sized(20_000)],
    ["a name that is too long", JSON.stringify({ ...METADATA, client_name: "x".repeat(101) })],
  ])("lets pages of other origins read the refusal of %s", async (_what, body) => {
    const refused = await ask(body, { origin: "https://inspector.example" });
    expect(refused.headers.get("access-control-allow-origin")).toBe("https://inspector.example");
    expect(refused.headers.get("cache-control")).toBe("no-store");
  });
});

describe("the names of a client", () => {
  it.each(["client_name", "client_name#ja", "client_name#de-CH"])(
    "takes 100 characters in %s, and not 101",
    async (name) => {
      const registered = await registeredWith({ [name]: "x".repeat(100) });
      expect(registered[name]).toBe("x".repeat(100));
      await expectRefused(await ask({ ...METADATA, [name]: "x".repeat(101) }), 400);
    },
  );

  it("counts characters, not UTF-16 units", async () => {
    await registeredWith({ client_name: "🗝".repeat(100) });
    await expectRefused(await ask({ ...METADATA, client_name: "🗝".repeat(101) }), 400);
  });
});

describe("the URIs of a client", () => {
  const uris = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `${GOOD}/${at}`);

  it("takes 20 redirect URIs, and not 21", async () => {
    const { redirect_uris: registered } = await registeredWith({ redirect_uris: uris(20) });
    expect(registered).toEqual(uris(20));
    await expectRefused(await ask({ ...METADATA, redirect_uris: uris(21) }), 400);
  });

  it("counts those that would be dropped, and repeated ones", async () => {
    const repeated = Array.from({ length: 21 }, () => GOOD);
    await expectRefused(await ask({ ...METADATA, redirect_uris: repeated }), 400);
    const dropped = Array.from({ length: 20 }, (_, at) => `app${at}://callback`);
    await expectRefused(await ask({ ...METADATA, redirect_uris: [...dropped, GOOD] }), 400);
  });

  it("takes 20 URIs of pages in all languages together, and not 21", async () => {
    const pages = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`logo_uri#x${at}`, "https://client.example/logo"]));
    await registeredWith({ ...pages(19), client_uri: "https://client.example/" });
    await expectRefused(await ask({ ...METADATA, ...pages(20), client_uri: "https://client.example/" }), 400);
  });
});

describe("members that say nothing", () => {
  const OPTIONAL = [
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "jwks_uri",
    "jwks",
    "contacts",
    "scope",
    "software_id",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg",
    "client_name#ja",
    "logo_uri#ja",
    "grant_types",
    "response_types",
    "unknown_member",
  ];

  it.each(OPTIONAL)("takes %s: null as absent", async (name) => {
    const registered = await registeredWith({ [name]: null });
    const { [name]: _left, ...absent }: Record<string, unknown> = METADATA;
    const same = await (await ask(absent)).json<Record<string, unknown>>();
    expect({ ...registered, client_id: "", client_id_issued_at: 0 }).toEqual({
      ...same,
      client_id: "",
      client_id_issued_at: 0,
    });
  });

  it("takes token_endpoint_auth_method: null as absent, which is client_secret_basic", async () => {
    const registered = await registeredWith({ token_endpoint_auth_method: null });
    expect(registered["token_endpoint_auth_method"]).toBe("client_secret_basic");
  });

  it.each(["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"])(
    "takes an empty %s as absent",
    async (name) => {
      expect(await registeredWith({ [name]: "" })).not.toHaveProperty(name);
    },
  );

  it("takes all of them at once", async () => {
    await registeredWith(Object.fromEntries(OPTIONAL.map((name) => [name, null])));
  });

  it("does not take null for the redirect URIs", async () => {
    await expectRefused(await ask({ ...METADATA, redirect_uris: null }), 400);
  });
});

describe("choices that this server does not know", () => {
  it("drops unknown grant types and says which are left", async () => {
    const unknown = ["urn:ietf:params:oauth:grant-type:device_code", "implicit", "client_credentials", ""];
    const { grant_types: kept } = await registeredWith({
      grant_types: [unknown[0], "authorization_code", ...unknown, "refresh_token"],
    });
    expect(kept).toEqual(["authorization_code", "refresh_token"]);
  });

  it("drops unknown response types", async () => {
    const { response_types: kept } = await registeredWith({ response_types: ["code", "code id_token", "token"] });
    expect(kept).toEqual(["code"]);
  });

  it.each([
    ["grant_types", ["client_credentials"]],
    ["grant_types", []],
    ["grant_types", [7]],
    ["grant_types", "authorization_code"],
    ["response_types", ["token"]],
  ])("refuses %s of %j, of which nothing usable is left", async (name, value) => {
    await expectRefused(await ask({ ...METADATA, [name]: value }), 400);
  });
});

describe("the life of a registered client", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => vi.useRealTimers());

  const later = (ms: number): unknown => vi.setSystemTime(Date.now() + ms);
  const isKnown = async (clientId: string): Promise<boolean> => {
    const page = await send(await authorizeUrl(flow, { clientId, redirectUri: GOOD }));
    return page.status === 200;
  };

  it("ends within days when nobody signs in with it, at the moment that client_secret_expires_at states", async () => {
    const { token_endpoint_auth_method: _method, ...metadata } = METADATA;
    const registered = await readJson(await ask(metadata));
    const clientId = String(registered["client_id"]);
    const expiresMs = Number(registered["client_secret_expires_at"]) * 1000;
    expect(expiresMs - Number(registered["client_id_issued_at"]) * 1000).toBeLessThanOrEqual(7 * DAY_MS);
    vi.setSystemTime(expiresMs - 2000);
    expect(await isKnown(clientId)).toBe(true);
    vi.setSystemTime(expiresMs + 1000);
    expect(await isKnown(clientId)).toBe(false);
  });

  it("ends at the same time for a public client, whose consent page alone was opened", async () => {
    const { clientId } = await register(flow);
    later(6.9 * DAY_MS);
    expect(await isKnown(clientId)).toBe(true);
    later(0.2 * DAY_MS);
    expect(await isKnown(clientId)).toBe(false);
  });

  it("is not made longer by revocations and refused requests, which anyone can send", async () => {
    const client = await register(flow);
    later(6 * DAY_MS);
    const { clientId: client_id } = client;
    expect((await requestToken(flow, { token: "a:b:c", client_id })).status).toBe(200);
    const refused = await requestToken(flow, { grant_type: "refresh_token", refresh_token: "a:b:c", client_id });
    expect(refused.status).toBe(400);
    later(1.1 * DAY_MS);
    expect(await isKnown(client.clientId)).toBe(false);
  });

  it("lasts as long as a connection may stay unused, after each refresh again", async () => {
    const client = await register(flow);
    let { refreshToken } = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    for (const days of [1, 29, 8, 29.9, 29.9]) {
      later(days * DAY_MS);
      const fields = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId };
      const refreshed = await readJson(await requestToken(flow, fields));
      refreshToken = String(refreshed["refresh_token"]);
    }
    expect(await isKnown(client.clientId)).toBe(true);
    later(38 * DAY_MS);
    expect(await isKnown(client.clientId)).toBe(false);
  });
});
