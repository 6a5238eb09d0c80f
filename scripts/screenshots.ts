// `npm run screenshots`: takes the screenshots in docs/images with a real browser, from the sample as `npm start` serves it. PORT works
// as for `npm start`, and the screenshots show it.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { root } from "../cli/project/tools.ts";
import { launchChromium } from "./chromium.ts";
import { print } from "../cli/kit/terminal.ts";

const PORT = process.env["PORT"] ?? "8787";
const ORIGIN = `http://localhost:${PORT}`;
const CALLBACK = "http://127.0.0.1:33418/";
const IMAGES = path.join(root, "docs/images");
const ACCOUNT = "analyst@harbor.example";
const DESK = { width: 1100, height: 760 };
const PHONE = { width: 390, height: 780 };

/** Starts the sample on separate state, and resolves when it serves. */
async function startSample(stateDir: string): Promise<{ readonly stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [path.join(root, "cli/local-server/start.ts"), "--sample"], {
    env: { ...process.env, PORT, GATEHOUSE_STATE: stateDir },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk: Buffer) => chunk.includes("Press Ctrl+C") && resolve());
    child.on("close", (status) => reject(new Error(`npm start ended with ${status}`)));
  });
  return {
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Registers a client of this name, and returns the authorization URL that it would open in a browser. */
async function authorizationUrl(name: string): Promise<string> {
  const registered = await fetch(`${ORIGIN}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: name, redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" }),
  });
  const { client_id: clientId }: { client_id: string } = JSON.parse(await registered.text());
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: CALLBACK,
    scope: "read offline_access",
    resource: `${ORIGIN}/mcp`,
    code_challenge: "a-challenge-whose-verifier-does-not-exist-01",
    code_challenge_method: "S256",
  };
  return `${ORIGIN}/authorize?${new URLSearchParams(parameters)}`;
}

async function take(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: path.join(IMAGES, `${name}.png`), scale: "css" });
  print(`docs/images/${name}.png`);
}

const chooseAccount = async (page: Page): Promise<void> => page.locator(`button[value="${ACCOUNT}"]`).click();

/** Connects a client; with `isPictured`, takes screenshots of the consent and sign-in pages. */
async function connect(
  browser: Browser,
  client: string,
  options: BrowserContextOptions,
  isPictured: boolean,
): Promise<void> {
  const page = await browser.newPage(options);
  await page.goto(await authorizationUrl(client));
  if (isPictured) await take(page, "consent");
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  if (isPictured) await take(page, "sign-in");
  const answered = page.waitForRequest((request) => request.url().startsWith(CALLBACK));
  await chooseAccount(page);
  await answered;
  await page.close();
}

async function takeStart(browser: Browser, name: string, options: BrowserContextOptions, isSignedIn: boolean) {
  const page = await browser.newPage(options);
  await page.goto(isSignedIn ? `${ORIGIN}/sign-in` : ORIGIN);
  if (isSignedIn) await chooseAccount(page);
  await page.locator(".cards").waitFor();
  await take(page, name);
  await page.close();
}

async function main(): Promise<void> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-screenshots-"));
  mkdirSync(IMAGES, { recursive: true });
  const browser = await launchChromium();
  const sample = await startSample(stateDir);
  try {
    await takeStart(browser, "start", { viewport: DESK, colorScheme: "light" }, false);
    await connect(browser, "Cursor", { viewport: DESK }, false);
    await connect(browser, "Claude Code", { viewport: { width: 760, height: 760 }, colorScheme: "light" }, true);
    for (const colorScheme of ["light", "dark"] as const)
      await takeStart(browser, `start-signed-in-${colorScheme}`, { viewport: DESK, colorScheme }, true);
    await takeStart(browser, "start-phone", { viewport: PHONE, colorScheme: "dark" }, true);
  } finally {
    await sample.stop();
    await browser.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

await main();
