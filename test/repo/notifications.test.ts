// Runs the receiver that docs/notifications.md shows, and posts to it what the Worker posts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWebhookChannel } from "../../src/changes/notifications/webhook-channel.ts";
import type { WebhookRequest } from "../../src/changes/notifications/webhook-channel.ts";
import { codeBlocks } from "../support/markdown.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const KEY = "a key of tests, long enough to sign with";
const TEXT = "2 changes of shop.rückgaben wait for approval.\nDecide at https://gatehouse.example.com/changes";
const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-receiver-"));
const lines: string[] = [];
let url = "";
let stop = async (): Promise<void> => {};

beforeAll(async () => {
  const [receiver = ""] = codeBlocks(readFileSync(path.join(ROOT, "docs/notifications.md"), "utf8"), "js");
  const file = path.join(folder, "receiver.mjs");
  writeFileSync(file, receiver);
  const child = spawn(process.execPath, [file], {
    env: { PORT: "0", GATEHOUSE_WEBHOOK_KEY: KEY },
    stdio: ["ignore", "pipe", "inherit"],
  });
  stop = async () => {
    child.kill();
    await once(child, "exit");
  };
  const output = createInterface({ input: child.stdout });
  const [port]: unknown[] = await once(output, "line");
  output.on("line", (line) => lines.push(line));
  url = `http://127.0.0.1:${String(port)}/`;
});

afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Changes {
  readonly key?: string;
  readonly ageSeconds?: number;
  /** Changes the request on its way. */
  readonly tamper?: (request: WebhookRequest) => WebhookRequest;
}

async function post({ key = KEY, ageSeconds = 0, tamper = (request) => request }: Changes): Promise<void> {
  const channel = createWebhookChannel(
    { url, key },
    { now: () => Date.now() - ageSeconds * 1000, fetch: async (to, request) => fetch(to, tamper(request)) },
  );
  await channel.send({ subject: "", text: TEXT }, AbortSignal.timeout(10_000));
}

describe("the receiver in docs/notifications.md", () => {
  it("prints a message that the Worker has signed", async () => {
    await post({});
    await expect.poll(() => lines).toEqual(TEXT.split("\n"));
  });

  it.each<[string, Changes]>([
    ["under another key", { key: `${KEY}.` }],
    ["that is older than five minutes", { ageSeconds: 310 }],
    ["from a clock that is ahead by more than five minutes", { ageSeconds: -310 }],
    ["with a changed body", { tamper: (request) => ({ ...request, body: request.body.replace("2", "3") }) }],
    [
      "with a changed time",
      {
        ageSeconds: 10,
        tamper: ({ headers, ...request }) => ({
          ...request,
          headers: { ...headers, "Gatehouse-Timestamp": String(Math.floor(Date.now() / 1000)) },
        }),
      },
    ],
    ["without headers", { tamper: (request) => ({ ...request, headers: {} }) }],
  ])("refuses a request %s", async (_case, changes) => {
    const printed = lines.length;
    await expect(post(changes)).rejects.toThrow("answered with status 401");
    expect(lines).toHaveLength(printed);
  });
});
