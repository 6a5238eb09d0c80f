// Posts notifications to a webhook in the form that Slack takes. A signature over time and body shows the receiver that they come from this
// server, and lets it refuse what is sent again later.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { ChannelFault } from "./notification-channel.ts";
import type { NotificationChannel } from "./notification-channel.ts";
import type { WebhookSettings } from "./notification-settings.ts";

/** What is sent to the webhook. */
export interface WebhookRequest {
  readonly method: "POST";
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

/** Sends a request, as the platform's `fetch` does. */
export type SendRequest = (url: string, request: WebhookRequest) => Promise<Response>;

/** What the channel needs besides its settings. */
interface WebhookDependencies {
  readonly now: () => number;
  readonly fetch: SendRequest;
}

/** Creates the channel of a webhook. Its receiver accepts with a status from 200 to 299; redirects are not followed. */
export function createWebhookChannel(
  { url, key }: WebhookSettings,
  { now, fetch }: WebhookDependencies,
): NotificationChannel {
  return {
    name: "webhook",
    async send({ text }, signal) {
      const body = JSON.stringify({ text: escapeMarkup(text) });
      const timestamp = String(Math.floor(now() / 1000));
      const signature = bytesToHex(hmac(sha256, utf8ToBytes(key), utf8ToBytes(`${timestamp}.${body}`)));
      const headers = {
        "Content-Type": "application/json",
        "Gatehouse-Timestamp": timestamp,
        "Gatehouse-Signature": `v1=${signature}`,
      };
      const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal }).catch(() => {
        // The error may quote the URL, which is a secret.
        throw new ChannelFault("could not be reached");
      });
      await response.body?.cancel();
      if (!response.ok) throw new ChannelFault(`answered with status ${response.status}`);
    },
  };
}

/** Keeps a dataset's name from being a mention or a link: Slack reads `<!channel>` as one. */
function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
