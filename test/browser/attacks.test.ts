// What others try through a person's browser: markup in every stored text, forms of other sites, and our pages in frames.
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
/** Pages show 80 characters of a client's name, so its attack is shorter. */
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

/** Connects a client as the account, by plain HTTP. */
async function connect(): Promise<string> {
  const client = await register(flow(), { client_name: CLIENT });
  const { accessToken } = await exchangeCode(flow(), client, await signIn(flow(), client, ACCOUNT));
  return accessToken;
}

const isConnected = async (token: string): Promise<boolean> => {
  const headers = { authorization: `Bearer ${token}` };
  return (await fetch(`${origin()}/mcp`, { headers })).status !== 401;
};

/** Another site. On `localhost` it counts to a browser as the same site as ours, and our cookies go along. */
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

describe("markup in stored texts is shown as text", () => {
  const holdsText = async (page: Page, texts: readonly string[]): Promise<void> => {
    const shown = (await page.locator("body").textContent()) ?? "";
    for (const where of texts) expect(shown, where).toContain(textOf(where));
    expect(await page.locator("script, img").count()).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
  };

  it("on the start page", async () => {
    const page = await browser.open();
    await page.goto(origin());
    await holdsText(page, ["organisation"]);
  });

  it("on the start page of a person with data and connections", async () => {
    await connect();
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    await holdsText(page, ["organisation", "source", "documents", "client"]);
    expect(await page.locator(".asks").textContent()).toContain("document title'\"></title>");
  });

  it("on the start page of a person without a role", async () => {
    const page = await browser.open();
    await signInAt(page, origin(), "nobody@evil.example");
    await holdsText(page, ["organisation", "contact"]);
  });

  it("on the pages of consent and sign-in", async () => {
    const page = await browser.open();
    await page.goto(await authorizeUrl(flow(), await register(flow(), { client_name: CLIENT })));
    await holdsText(page, ["organisation", "client"]);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await holdsText(page, ["member", "nobody"]);
  });
});

describe.each(EVIL_HOSTS)("a site on %s", (host) => {
  const visit = async (page: Page, html: string): Promise<void> => {
    evilPage = `<!doctype html><html lang="en"><title>Another site</title><body>${html}`;
    await page.goto(`http://${host}:${evilPort}/`);
  };

  it.each(["", "0".repeat(64)])("cannot end a connection by a form, with the token %j", async (csrf) => {
    const token = await connect();
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    const connection = await page.locator(`input[name=connection]`).first().getAttribute("value");
    await visit(
      page,
      `<form method="post" action="${origin()}/connections/end"><input name="connection" value="${connection}"><input name="csrf" value="${csrf}"><button>Win</button></form>`,
    );
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "This did not work" }).waitFor();
    expect(await isConnected(token)).toBe(true);
    await page.goto(origin());
    expect(await page.locator(`input[value="${connection}"]`).count()).toBe(1);
  });

  it("cannot sign a person out by a form", async () => {
    const page = await browser.open();
    await signInAt(page, origin(), ACCOUNT);
    await visit(page, `<form method="post" action="${origin()}/sign-out"><button>Win</button></form>`);
    await page.getByRole("button").click();
    await page.waitForURL(`${origin()}/**`);
    await page.goto(origin());
    expect(await page.locator("header").textContent()).toContain(ACCOUNT);
  });

  it("cannot approve a consent that the person has open", async () => {
    const page = await browser.open();
    await page.goto(await authorizeUrl(flow(), await register(flow())));
    await visit(
      page,
      `<form method="post" action="${origin()}/authorize"><input name="handle" value="guessed"><input name="decision" value="approve"><button>Win</button></form>`,
    );
    await page.getByRole("button").click();
    await page.getByRole("heading", { name: "This did not work" }).waitFor();
  });

  it("cannot finish the sign-in of another browser here", async () => {
    const elsewhere = await browser.open();
    await elsewhere.goto(`${origin()}/sign-in`);
    const action = await elsewhere.locator("form[action*=callback]").getAttribute("action");
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
