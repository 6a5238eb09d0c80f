// Tells reviewers that changes wait for their approval, by a webhook and by email, where an operator has set them up. Changes of a short
// time share one message. A message that a channel did not take is sent again, and one that was sent shortly before a crash may come twice.
import { countOf } from "../../lib/count-of.ts";
import { settleAll } from "../../lib/settle-all.ts";
import { createEmailChannel } from "./email-channel.ts";
import { ChannelFault } from "./notification-channel.ts";
import type { NotificationChannel, NotificationMessage } from "./notification-channel.ts";
import { parseEmail, parseWebhook } from "./notification-settings.ts";
import { openNotificationStore } from "./notification-store.ts";
import type { WaitingChange } from "./notification-store.ts";
import { createWebhookChannel } from "./webhook-channel.ts";
import type { SendRequest } from "./webhook-channel.ts";

/** The notifications of a deployment. Without a channel they store and send nothing. */
export interface ReviewerNotifications {
  /**
   * Announces a change with the next message; a change that was announced before is not announced again. Returns when `sendDue` should run,
   * in milliseconds since the epoch; undefined without a channel.
   */
  enqueue(change: WaitingChange): Promise<number | undefined>;
  /** Takes back what was not sent, because the change does not wait any more. */
  withdraw(changeId: string): Promise<void>;
  /**
   * Sends what is due, of all changes. Returns when it should run again, in milliseconds since the epoch; undefined when nothing waits.
   * A channel that fails is logged and retried later. Throws when GATEHOUSE_DB fails.
   */
  sendDue(): Promise<number | undefined>;
}

/** What the notifications need. */
export interface NotificationOptions {
  /** GATEHOUSE_DB. */
  readonly database: D1Database;
  /** The variables, secrets and bindings of the deployment. */
  readonly environment: object;
  /** Where this server is, such as `https://gatehouse.example.com`. */
  readonly origin: string;
  readonly now: () => number;
  readonly fetch: SendRequest;
  /** Logs that a channel failed. */
  readonly log: (message: string) => void;
  /** How long a channel may take; 10 s by default. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Opens the notifications. Throws `TypeError` when a setting is missing or wrong. */
export function openReviewerNotifications(options: NotificationOptions): ReviewerNotifications {
  const webhook = parseWebhook(options.environment);
  const email = parseEmail(options.environment);
  const channels: readonly NotificationChannel[] = [
    ...(webhook === undefined ? [] : [createWebhookChannel(webhook, options)]),
    ...(email === undefined ? [] : [createEmailChannel(email)]),
  ];
  if (channels.length === 0)
    return { enqueue: async () => undefined, withdraw: async () => {}, sendDue: async () => undefined };
  return createNotifications(channels, options);
}

function createNotifications(
  channels: readonly NotificationChannel[],
  options: NotificationOptions,
): ReviewerNotifications {
  const { now, log, origin, timeoutMs = TIMEOUT_MS } = options;
  const store = openNotificationStore(options.database);
  const names = channels.map(({ name }) => name);

  async function sendTo(channel: NotificationChannel): Promise<void> {
    const { name } = channel;
    const batch = await store.claim(name, now());
    if (batch === undefined) return;
    try {
      await sendInTime(channel, writeMessage(batch.changes, origin), timeoutMs);
    } catch (error) {
      if (!(error instanceof ChannelFault)) throw error;
      const delaySeconds = Math.ceil((batch.retryMs - now()) / 1000);
      return log(`change notifications: the ${name} ${error.message}; the next attempt is in ${delaySeconds} s.`);
    }
    await store.markSent(name, batch, now());
  }

  return {
    enqueue: async (change) => store.add(change, names, now()),
    withdraw: async (changeId) => store.remove(changeId),
    async sendDue() {
      await settleAll(channels, sendTo);
      return store.readNextMs(names);
    },
  };
}

/** Throws `ChannelFault` when the channel has not accepted the message in time. */
async function sendInTime(
  channel: NotificationChannel,
  message: NotificationMessage,
  timeoutMs: number,
): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const timedOut = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new ChannelFault("gave no answer in time")));
  });
  await Promise.race([timedOut, channel.send(message, signal)]);
}

/** Writes the message about changes: how many wait in each dataset, and where to decide. */
function writeMessage(changes: readonly WaitingChange[], origin: string): NotificationMessage {
  const lines = [...Map.groupBy(changes, ({ dataset }) => dataset)].map(
    ([dataset, ofDataset]) => `${describe(ofDataset.length, ` of ${dataset}`)}.`,
  );
  return { subject: describe(changes.length, ""), text: [...lines, `Decide at ${origin}/changes`].join("\n") };
}

function describe(count: number, of: string): string {
  return `${countOf(count, "change")}${of} ${count === 1 ? "waits" : "wait"} for approval`;
}
