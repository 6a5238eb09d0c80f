// What a webhook's receiver gets: one request whose signature it can verify with nothing but the key.
import { describe, expect, it } from "vitest";
import { createWebhookChannel } from "../../../src/changes/notifications/webhook-channel.ts";
import type { WebhookRequest } from "../../../src/changes/notifications/webhook-channel.ts";

const KEY = "a key of tests, long enough to sign with ✓";
const NOW_MS = Date.parse("2026-11-28T12:00:00.999Z");
const encoder = new TextEncoder();

/** Verifies as a receiver does, by the platform's own HMAC. */
async function isSigned(key: string, timestamp: string, body: string, signature: string): Promise<boolean> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", encoder.encode(key), algorithm, false, ["verify"]);
  const [, hex = ""] = /^v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  return crypto.subtle.verify("HMAC", imported, bytes, encoder.encode(`${timestamp}.${body}`));
}

async function send(text: string, response = new Response("ok")) {
  const sent: { readonly url: string; readonly init: WebhookRequest }[] = [];
  const channel = createWebhookChannel(
    { url: "https://hooks.example/services/x", key: KEY },
    {
      now: () => NOW_MS,
      fetch: async (url, init) => {
        sent.push({ url, init });
        return response;
      },
    },
  );
  await channel.send({ subject: "2 changes wait for approval", text }, new AbortController().signal);
  const [request] = sent;
  if (request === undefined || sent.length > 1) expect.unreachable("not exactly one request was sent");
  const { headers, body } = request.init;
  return {
    ...request,
    headers,
    body,
    timestamp: headers["Gatehouse-Timestamp"] ?? "",
    signature: headers["Gatehouse-Signature"] ?? "",
  };
}

describe("the webhook channel", () => {
  it("posts the text as JSON to the URL, without following redirects", async () => {
    const { url, init, headers, body } = await send("2 changes of shop.rückgaben wait for approval.\nDecide");
    expect(url).toBe("https://hooks.example/services/x");
    expect(init).toMatchObject({ method: "POST", redirect: "manual" });
    expect(init.signal).toBeInstanceOf(AbortSignal);
    expect(headers["Content-Type"]).toBe("application/json");
    expect(JSON.parse(body)).toEqual({ text: "2 changes of shop.rückgaben wait for approval.\nDecide" });
  });

  it("escapes what Slack would read as a mention or a link", async () => {
    const { body } = await send("1 change of shop.<!channel>&co waits for approval.");
    expect(JSON.parse(body)).toEqual({ text: "1 change of shop.&lt;!channel&gt;&amp;co waits for approval." });
  });

  it("signs the time in seconds and the body with the key", async () => {
    const { timestamp, body, signature } = await send("2 changes of shop.rückgaben wait for approval.");
    expect(timestamp).toBe(String(Date.parse("2026-11-28T12:00:00Z") / 1000));
    expect(await isSigned(KEY, timestamp, body, signature)).toBe(true);
    const later = String(Number(timestamp) + 1);
    expect(await isSigned(KEY, later, body, signature), "with another time").toBe(false);
    expect(await isSigned(KEY, timestamp, `${body} `, signature), "with another body").toBe(false);
    expect(await isSigned(`${KEY}.`, timestamp, body, signature), "with another key").toBe(false);
  });

  it.each([200, 201, 202, 204, 299])("accepts status %d, and cancels the body unread", async (status) => {
    let isCancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(encoder.encode("more")),
      cancel: () => void (isCancelled = true),
    });
    await send("text", new Response(status === 204 ? null : endless, { status }));
    expect(isCancelled).toBe(status !== 204);
  });

  it.each([300, 301, 308, 400, 401, 404, 410, 429, 500, 503])(
    "refuses status %d, and cancels the body",
    async (status) => {
      let isCancelled = false;
      const body = new ReadableStream({ cancel: () => void (isCancelled = true) });
      await expect(send("text", new Response(body, { status }))).rejects.toThrow(
        new RegExp(`^answered with status ${status}$`),
      );
      expect(isCancelled).toBe(true);
    },
  );
});
