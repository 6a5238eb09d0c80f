// Limits of a registration: its size and contents, and how long an unused client is stored.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { authorizeUrl, readJson, register, requestToken, signIn, exchangeCode } from "../../support/oauth.ts";
import { flow, send } from "../../support/worker.ts";

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

async function sendRegistration(metadata: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const body = typeof metadata === "string" ? metadata : JSON.stringify(metadata);
  const allHeaders = { "content-type": "application/json", ...headers };
  return send(`${flow.origin}/oauth/register`, { method: "POST", headers: allHeaders, body });
}

async function registerWith(members: Record<string, unknown>): Promise<Record<string, unknown>> {
  const response = await sendRegistration({ ...METADATA, ...members });
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

/** Builds a registration of exactly `bytes` bytes. */
function buildSized(bytes: number): string {
  const missing = bytes - JSON.stringify({ ...METADATA, software_id: "" }).length;
  return JSON.stringify({ ...METADATA, software_id: "x".repeat(missing) });
}

describe("the size of a registration", () => {
  it("can be 16 KiB and not one byte more", async () => {
    expect((await sendRegistration(buildSized(16_384))).status).toBe(201);
    await expectRefused(await sendRegistration(buildSized(16_385)), 413);
  });

  it("is counted in bytes, not characters", async () => {
    const metadata = { ...METADATA, software_id: "é".repeat(8192) };
    expect(JSON.stringify(metadata).length).toBeLessThan(16_384);
    await expectRefused(await sendRegistration(metadata), 413);
  });

  it("is counted while reading when the body declares no length", async () => {
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
    // The server stopped reading at the limit.
    expect(sent).toBeLessThan(100);
  });

  it.each([
    ["a body that is too large", buildSized(20_000)],
    ["a name that is too long", JSON.stringify({ ...METADATA, client_name: "x".repeat(101) })],
  ])("is refused in a form that pages of other origins can read, for %s", async (_name, body) => {
    const refused = await sendRegistration(body, { origin: "https://inspector.example" });
    expect(refused.headers.get("access-control-allow-origin")).toBe("https://inspector.example");
    expect(refused.headers.get("cache-control")).toBe("no-store");
  });
});

describe("the names of a client", () => {
  it.each(["client_name", "client_name#ja", "client_name#de-CH"])(
    "can have 100 characters in %s and not 101",
    async (name) => {
      const registered = await registerWith({ [name]: "x".repeat(100) });
      expect(registered[name]).toBe("x".repeat(100));
      await expectRefused(await sendRegistration({ ...METADATA, [name]: "x".repeat(101) }), 400);
    },
  );

  it("are counted in characters, not UTF-16 units", async () => {
    await registerWith({ client_name: "🗝".repeat(100) });
    await expectRefused(await sendRegistration({ ...METADATA, client_name: "🗝".repeat(101) }), 400);
  });
});

describe("the URIs of a client", () => {
  const uris = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `${GOOD}/${at}`);

  it("can be 20 redirect URIs and not 21", async () => {
    const { redirect_uris: registered } = await registerWith({ redirect_uris: uris(20) });
    expect(registered).toEqual(uris(20));
    await expectRefused(await sendRegistration({ ...METADATA, redirect_uris: uris(21) }), 400);
  });

  it("are counted with repeated and unusable ones", async () => {
    const repeated = Array.from({ length: 21 }, () => GOOD);
    await expectRefused(await sendRegistration({ ...METADATA, redirect_uris: repeated }), 400);
    const dropped = Array.from({ length: 20 }, (_, at) => `app${at}://callback`);
    await expectRefused(await sendRegistration({ ...METADATA, redirect_uris: [...dropped, GOOD] }), 400);
  });

  it("can be 20 of pages and images in all languages together and not 21", async () => {
    const pages = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`logo_uri#x${at}`, "https://client.example/logo"]));
    await registerWith({ ...pages(19), client_uri: "https://client.example/" });
    await expectRefused(
      await sendRegistration({ ...METADATA, ...pages(20), client_uri: "https://client.example/" }),
      400,
    );
  });
});

describe("empty members of a registration", () => {
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

  it.each(OPTIONAL)("count as absent when %s is null", async (name) => {
    const registered = await registerWith({ [name]: null });
    const { [name]: _left, ...absent }: Record<string, unknown> = METADATA;
    const same = await (await sendRegistration(absent)).json<Record<string, unknown>>();
    expect({ ...registered, client_id: "", client_id_issued_at: 0 }).toEqual({
      ...same,
      client_id: "",
      client_id_issued_at: 0,
    });
  });

  it("default to client_secret_basic when token_endpoint_auth_method is null", async () => {
    const registered = await registerWith({ token_endpoint_auth_method: null });
    expect(registered["token_endpoint_auth_method"]).toBe("client_secret_basic");
  });

  it.each(["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"])(
    "count as absent when %s is an empty string",
    async (name) => {
      expect(await registerWith({ [name]: "" })).not.toHaveProperty(name);
    },
  );

  it("count as absent when all of them are null", async () => {
    await registerWith(Object.fromEntries(OPTIONAL.map((name) => [name, null])));
  });

  it("are refused when redirect_uris is null", async () => {
    await expectRefused(await sendRegistration({ ...METADATA, redirect_uris: null }), 400);
  });
});

describe("unsupported types in a registration", () => {
  it("are dropped from grant_types, as the response shows", async () => {
    const unknown = ["urn:ietf:params:oauth:grant-type:device_code", "implicit", "client_credentials", ""];
    const { grant_types: registeredTypes } = await registerWith({
      grant_types: [unknown[0], "authorization_code", ...unknown, "refresh_token"],
    });
    expect(registeredTypes).toEqual(["authorization_code", "refresh_token"]);
  });

  it("are dropped from response_types", async () => {
    const { response_types: registeredTypes } = await registerWith({
      response_types: ["code", "code id_token", "token"],
    });
    expect(registeredTypes).toEqual(["code"]);
  });

  it.each([
    ["grant_types", ["client_credentials"]],
    ["grant_types", []],
    ["grant_types", [7]],
    ["grant_types", "authorization_code"],
    ["response_types", ["token"]],
  ])("are refused when no supported type is left: %s of %j", async (name, value) => {
    await expectRefused(await sendRegistration({ ...METADATA, [name]: value }), 400);
  });
});

describe("the lifetime of a registered client", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => vi.useRealTimers());

  const advance = (ms: number): unknown => vi.setSystemTime(Date.now() + ms);
  const isKnown = async (clientId: string): Promise<boolean> => {
    const page = await send(await authorizeUrl(flow, { clientId, redirectUri: GOOD }));
    return page.status === 200;
  };

  it("ends at client_secret_expires_at, within a week, when no user signs in", async () => {
    const { token_endpoint_auth_method: _method, ...metadata } = METADATA;
    const registered = await readJson(await sendRegistration(metadata));
    const clientId = String(registered["client_id"]);
    const expiresMs = Number(registered["client_secret_expires_at"]) * 1000;
    expect(expiresMs - Number(registered["client_id_issued_at"]) * 1000).toBeLessThanOrEqual(7 * DAY_MS);
    vi.setSystemTime(expiresMs - 2000);
    expect(await isKnown(clientId)).toBe(true);
    vi.setSystemTime(expiresMs + 1000);
    expect(await isKnown(clientId)).toBe(false);
  });

  it("ends after a week for a public client with an opened consent page only", async () => {
    const { clientId } = await register(flow);
    advance(6.9 * DAY_MS);
    expect(await isKnown(clientId)).toBe(true);
    advance(0.2 * DAY_MS);
    expect(await isKnown(clientId)).toBe(false);
  });

  it("is not extended by revocations and refused requests, which anyone can send", async () => {
    const client = await register(flow);
    advance(6 * DAY_MS);
    const { clientId: client_id } = client;
    expect((await requestToken(flow, { token: "a:b:c", client_id })).status).toBe(200);
    const refused = await requestToken(flow, { grant_type: "refresh_token", refresh_token: "a:b:c", client_id });
    expect(refused.status).toBe(400);
    advance(1.1 * DAY_MS);
    expect(await isKnown(client.clientId)).toBe(false);
  });

  it("is extended by each refresh to the idle time of a connection", async () => {
    const client = await register(flow);
    let { refreshToken } = await exchangeCode(flow, client, await signIn(flow, client, ANALYST));
    for (const days of [1, 29, 8, 29.9, 29.9]) {
      advance(days * DAY_MS);
      const fields = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId };
      const refreshed = await readJson(await requestToken(flow, fields));
      refreshToken = String(refreshed["refresh_token"]);
    }
    expect(await isKnown(client.clientId)).toBe(true);
    advance(38 * DAY_MS);
    expect(await isKnown(client.clientId)).toBe(false);
  });
});
