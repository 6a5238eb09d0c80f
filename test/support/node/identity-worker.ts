// Builds and serves the identity Worker in this process with a test's variables, and signs users in to it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { buildWorker } from "../../../cli/project/tools.ts";
import { freeAddresses, openStorage, originOf, startLocal } from "../../../cli/local-server/local.ts";
import { migrateLocal } from "../../../cli/local-server/migrations.ts";
import { createBrowser } from "../forms.ts";
import type { Browser, Page, Send } from "../forms.ts";
import { authorizeUrl, exchangeCode, readJson, register, requestToken } from "../oauth.ts";
import type { Flow, Registered, Tokens } from "../oauth.ts";
import { freePort } from "./server.ts";
import { ROOT } from "./worker.ts";

/** A client with its tokens. */
export interface SignedIn {
  readonly client: Registered;
  readonly tokens: Tokens;
}

/** The served Worker. */
interface IdentityWorker {
  readonly flow: Flow;
  /** Returns the lines logged since the last call, as one text. */
  log(): Promise<string>;
  /** Consents and signs in at the provider. Returns the last page, which redirects to the client on success. */
  signIn(client: Registered, alter?: AlterUrl): Promise<Page>;
  /** Registers a client, signs in and returns the tokens. */
  connect(): Promise<SignedIn>;
  refresh(signedIn: SignedIn): Promise<Response>;
  /** Returns the identity of an access token, as /mcp reports it; undefined when the access token is refused. */
  identityOf(tokens: Tokens): Promise<Record<string, unknown> | undefined>;
  /** Signs in to our pages and returns the identity; undefined when that failed. */
  signInToPages(browser: Browser): Promise<Record<string, unknown> | undefined>;
}

/** Returns the Worker's variables for an origin. */
export type Variables = (origin: string) => Promise<Record<string, string>>;

/** Changes a URL before the browser opens it, as a man in the middle could. */
type AlterUrl = (url: URL) => URL;

/**
 * Serves a Worker for the tests of a file. `variables` is called with the origin before the Worker starts. `send` carries the browsers'
 * requests, so a test can act as a proxy.
 */
export function useIdentityWorker(variables: Variables, send: Send = fetch): () => IdentityWorker {
  let worker: { readonly flows: IdentityWorker; readonly stop: () => Promise<void> } | undefined;
  beforeAll(async () => {
    worker = await serve(variables, send);
  }, 120_000);
  afterAll(async () => worker?.stop());
  return () => {
    if (worker === undefined) throw new Error("the identity Worker runs during tests only");
    return worker.flows;
  };
}

async function serve(variables: Variables, send: Send) {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-identity-"));
  const configPath = path.join(ROOT, "test/identity/wrangler.jsonc");
  const [bundleDir, stateDir] = [path.join(dir, "bundle"), path.join(dir, "state")];
  const port = await freePort();
  const bindings = await variables(originOf(port));
  await buildWorker(configPath, bundleDir);
  const storage = await openStorage(configPath, stateDir);
  await migrateLocal(storage, configPath);
  await storage.dispose();
  const addresses = (await freeAddresses(port)) ?? [];
  const { miniflare, origin } = await startLocal({ configPath, bundleDir, port, addresses, stateDir, bindings });
  return {
    flows: createFlows({ origin, send }),
    stop: async () => {
      await miniflare.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function createFlows(flow: Flow): IdentityWorker {
  const { origin } = flow;

  async function signIn(client: Registered, alter: AlterUrl = (url) => url): Promise<Page> {
    const browser = createBrowser(flow.send);
    const consent = await browser.open(await authorizeUrl(flow, client));
    return followTo(browser, await browser.press(consent, "decision", "approve"), client.redirectUri, alter);
  }

  return {
    flow,
    log: async () => {
      const lines: readonly string[] = JSON.parse(await (await fetch(`${origin}/log`)).text());
      return lines.join("\n");
    },
    signIn,
    async connect() {
      const client = await register(flow);
      const { response, html } = await signIn(client);
      const location = response.headers.get("location");
      if (location === null) throw new Error(`sign-in ended with ${response.status}: ${html}`);
      return { client, tokens: await exchangeCode(flow, client, new URL(location)) };
    },
    refresh: async ({ client, tokens }) =>
      requestToken(flow, {
        grant_type: "refresh_token",
        refresh_token: tokens.refreshToken,
        client_id: client.clientId,
      }),
    async identityOf({ accessToken }) {
      const response = await fetch(`${origin}/mcp`, { headers: { authorization: `Bearer ${accessToken}` } });
      return response.ok ? readJson(response) : undefined;
    },
    async signInToPages(browser) {
      await followTo(browser, await browser.open(`${origin}/sign-in?to=/who`), `${origin}/who`, (url) => url);
      const { html } = await browser.open(`${origin}/who`);
      const identity: Record<string, unknown> | null = JSON.parse(html);
      return identity ?? undefined;
    },
  };
}

/** Follows redirects, each changed by `alter`, until a page does not redirect or redirects to `end`. */
async function followTo(browser: Browser, first: Page, end: string, alter: AlterUrl): Promise<Page> {
  let page = first;
  for (let hops = 0; hops < 10; hops += 1) {
    const location = page.response.headers.get("location");
    if (location === null || location.startsWith(end)) return page;
    page = await browser.open(alter(new URL(location, page.url)).href);
  }
  throw new Error(`too many redirects, at ${page.url}`);
}
