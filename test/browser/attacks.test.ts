// Attacks through a user's browser: markup in every stored text, forms of other sites, and this server's pages in frames.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exchangeCode, authorizeUrl, register, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { chooseAccount, seriousFindings, signInAt, useBrowser } from "../support/node/browser.ts";
import { usePolicyServer } from "../support/node/policy-server.ts";
import { attack } from "./policies/hostile.ts";

const ACCOUNT = "mallory@evil.example";
/** Pages show 80 characters of a client's name, so this attack is shorter. */
const CLIENT = `client'"></title></style><script>a(1)</script><img src=x onerror=a(2)>`;
const textOf = (where: string): string => (where === "client" ? CLIENT : attack(where));
const origin = usePolicyServer("test/browser/policies/hostile.ts", {
  prepare: async (storage) => {
    const database = await storage.getD1Database("SHOP_DB");
    const tickets = [1, 2, 3, 4].map(
      (id) =>
        `(${id}, 1, NULL, 'north', 's', 'b', '${id > 2 ? "open" : "closed"}', 'low', '2026-01-01 10:00:00', NULL)`,
    );
    await database.batch([
      database.prepare(
        "INSERT INTO customers VALUES (1, 'N', 'n@n.example', NULL, NULL, NULL, 'north', 'marina', '2024-03-01 10:00:00', NULL)",
      ),
      database.prepare(`INSERT INTO tickets VALUES ${tickets.join(", ")}`),
    ]);
    const handbook = await storage.getKVNamespace("HANDBOOK");
    await handbook.put("a.md", `# ${attack("document title")}\n\nText.`);
  },
});
const browser = useBrowser();
const flow = (): Flow => ({ origin: origin(), send: fetch });

/** Connects a client as the account over HTTP and returns its access token. */
async function connect(): Promise<string> {
  const client = await register(flow(), { client_name: CLIENT });
  const { accessToken } = await exchangeCode(flow(), client, await signIn(flow(), client, ACCOUNT));
  return accessToken;
}

const isConnected = async (accessToken: string): Promise<boolean> => {
  const headers = { authorization: `Bearer ${accessToken}` };
  return (await fetch(`${origin()}/mcp`, { headers })).status !== 401;
};

/** Another site. On `localhost`, browsers treat it as the same site as this server and send this server's cookies. */
let evil: Server | undefined;
let evilPort: number;
let evilPage = "";
beforeAll(async () => {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(evilPage);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  evil = server;
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  evilPort = address.port;
});
afterAll(() => {
  evil?.closeAllConnections();
  evil?.close();
});

const EVIL_HOSTS = ["127.0.0.1", "localhost"] as const;

describe("markup in stored texts", () => {
  const expectShownAsText = async (page: Page, texts: readonly string[]): Promise<void> => {
    const shown = (await page.locator("body").textContent()) ?? "";
    for (const where of texts) expect(shown, where).toContain(textOf(where));
    expect(await page.locator("script, img").count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
  };

  it("is shown as text on the start page", async () => {
    const page = await browser.open();
    await page.goto(origin());
    await expectShownAsText(page, ["organisation"]);
  });

  it("is shown as text on the start page of a user with data and connections", async () => {
    await connect();
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    await expectShownAsText(page, ["organisation", "source", "documents", "client"]);
    expect(await page.locator(".asks").textContent()).toContain("document title'\"></title>");
  });

  it("is shown as text on the start page of a user without a role", async () => {
    const page = await browser.open();
    await signInAt(page, origin(), "nobody@evil.example");
    await expectShownAsText(page, ["organisation", "contact"]);
  });

  it("is shown as text on the pages of consent and sign-in", async () => {
    const page = await browser.open();
    await page.goto(await authorizeUrl(flow(), await register(flow(), { client_name: CLIENT })));
    await expectShownAsText(page, ["organisation", "client"]);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await expectShownAsText(page, ["member", "nobody"]);
  });
});

describe.each(EVIL_HOSTS)("another site on %s", (host) => {
  const visit = async (page: Page, html: string): Promise<void> => {
    evilPage = `<!doctype html><html lang="en"><title>Another site</title><body>${html}`;
    await page.goto(`http://${host}:${evilPort}/`);
  };

  it.each(["", "0".repeat(64)])("cannot end a connection with a form that has the CSRF token %j", async (csrf) => {
    const accessToken = await connect();
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    const connection = await page.locator(`input[name=connection]`).first().getAttribute("value");
    const fields = `<input name="connection" value="${connection}"><input name="csrf" value="${csrf}">`;
    await visit(page, `<form method="post" action="${origin()}/connections/end">${fields}<button>Win</button></form>`);
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "This did not work" }).waitFor();
    expect(await isConnected(accessToken)).toBe(true);
    await page.goto(origin());
    expect(await page.locator(`input[value="${connection}"]`).count()).toBe(1);
  });

  it("cannot sign a user out with a form", async () => {
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    await visit(page, `<form method="post" action="${origin()}/sign-out"><button>Win</button></form>`);
    await page.getByRole("button").click();
    await page.waitForURL(`${origin()}/**`);
    await page.goto(origin());
    expect(await page.locator("header").textContent()).toContain(ACCOUNT);
  });

  it("cannot approve a consent page that the user has open", async () => {
    const page = await browser.open();
    await page.goto(await authorizeUrl(flow(), await register(flow())));
    const fields = '<input name="handle" value="guessed"><input name="decision" value="approve">';
    await visit(page, `<form method="post" action="${origin()}/authorize">${fields}<button>Win</button></form>`);
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "This did not work" }).waitFor();
  });

  it("cannot finish a sign-in that another browser started", async () => {
    const otherBrowserPage = await browser.open();
    await otherBrowserPage.goto(`${origin()}/sign-in`);
    const action = await otherBrowserPage.locator("form[action*=callback]").getAttribute("action");
    const page = await browser.open();
    await visit(
      page,
      `<form method="post" action="${origin()}${action}"><input name="account" value="${ACCOUNT}"><button>Win</button></form>`,
    );
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "This did not work" }).waitFor();
    await page.goto(origin());
    expect(await page.locator("header").textContent()).not.toContain(ACCOUNT);
  });

  it.each(["/", "/authorize", "/sign-in", "/sign-out"])("cannot show %s in a frame", async (path) => {
    const page = await browser.openWatched();
    await page.goto(`${origin()}/sign-in`);
    await chooseAccount(page, ACCOUNT);
    await page.waitForURL(`${origin()}/`);
    const target = path === "/authorize" ? await authorizeUrl(flow(), await register(flow())) : `${origin()}${path}`;
    await visit(page, `<iframe title="framed" src="${target.replaceAll("&", "&amp;")}"></iframe>`);
    const [, frame] = page.frames();
    await frame?.waitForLoadState();
    expect(frame?.url()).toBe("chrome-error://chromewebdata/");
  });
});
