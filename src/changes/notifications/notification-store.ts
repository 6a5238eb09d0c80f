// Which changes were announced to reviewers, in GATEHOUSE_DB: for each channel apart, so that one that fails does not hold up the other.
import { openStatements } from "../../lib/statement-store.ts";
import type { ChannelName } from "./notification-channel.ts";

/** A change that waits for approval. */
export interface WaitingChange {
  readonly id: string;
  /** `source.table`. */
  readonly dataset: string;
}

/** What one attempt to send has claimed. */
export interface ClaimedBatch {
  /** At least one, oldest first. */
  readonly changes: readonly WaitingChange[];
  /** When the claim ends, and the next attempt may begin unless this one succeeds. */
  readonly retryMs: number;
}

/** Stores the notifications. */
export interface NotificationStore {
  /** Adds a change for these channels, unless it is there already. Returns when it is due. */
  add(change: WaitingChange, channels: readonly ChannelName[], nowMs: number): Promise<number>;
  /** Deletes what was not sent of a change. */
  remove(changeId: string): Promise<void>;
  /** Claims all waiting changes of a channel when one of them is due. Undefined when none is, and while an earlier claim lasts. */
  claim(channel: ChannelName, nowMs: number): Promise<ClaimedBatch | undefined>;
  /** Stores that the channel accepted a message about the batch, and ends its claim. */
  markSent(channel: ChannelName, batch: ClaimedBatch, nowMs: number): Promise<void>;
  /** Reads when the next claim can succeed. Undefined when no change waits. */
  readNextMs(channels: readonly ChannelName[]): Promise<number | undefined>;
}

/** How long the first change of a message waits for others. */
const COLLECT_MS = 20_000;
/** After this time no attempt to add a change again is left. */
const KEPT_MS = 30 * 86_400_000;
/** How long the first claim lasts, longer than an attempt takes. Each one after a failure or a crash lasts twice as long. */
const FIRST_CLAIM_MS = 30_000;
const MAX_CLAIM_MS = 3_600_000;
/** With so many doublings a claim has its maximum. SQLite's shift by more than 63 would give 0. */
const MAX_DOUBLINGS = 7;

/** Opens the store over GATEHOUSE_DB. */
export function openNotificationStore(database: D1Database): NotificationStore {
  const { prepare } = openStatements(database);
  return {
    async add({ id, dataset }, channels, nowMs) {
      await database.batch([
        prepare("DELETE FROM change_notification WHERE enqueued_ms < ?", nowMs - KEPT_MS),
        ...channels.map((channel) =>
          prepare(
            `INSERT INTO change_notification (change_id, channel, dataset, enqueued_ms) VALUES (?, ?, ?, ?)
              ON CONFLICT DO NOTHING`,
            id,
            channel,
            dataset,
            nowMs,
          ),
        ),
      ]);
      return nowMs + COLLECT_MS;
    },
    async remove(changeId) {
      await prepare("DELETE FROM change_notification WHERE change_id = ? AND sent_ms IS NULL", changeId).run();
    },
    async claim(channel, nowMs) {
      // One transaction: a claim always has at least one change.
      const [claim, waiting] = await database.batch<WaitingChange & { readonly retryMs: number }>([
        prepare(
          `INSERT INTO change_notification_channel (name, retry_ms, tries) SELECT ?1, ?2 + ?4, 1
            WHERE EXISTS (SELECT 1 FROM change_notification WHERE channel = ?1 AND sent_ms IS NULL AND enqueued_ms <= ?3)
            ON CONFLICT (name) DO UPDATE SET retry_ms = ?2 + min(?4 << min(tries, ?5), ?6), tries = tries + 1
              WHERE retry_ms <= ?2 RETURNING name`,
          channel,
          nowMs,
          nowMs - COLLECT_MS,
          FIRST_CLAIM_MS,
          MAX_DOUBLINGS,
          MAX_CLAIM_MS,
        ),
        prepare(
          `SELECT change_id AS id, dataset, retry_ms AS retryMs
            FROM change_notification JOIN change_notification_channel ON name = channel
            WHERE channel = ? AND sent_ms IS NULL ORDER BY enqueued_ms`,
          channel,
        ),
      ]);
      const changes = waiting?.results ?? [];
      const [first] = claim?.results.length === 0 ? [] : changes;
      return first && { changes, retryMs: first.retryMs };
    },
    async markSent(channel, { changes, retryMs }, nowMs) {
      await database.batch([
        prepare(
          `UPDATE change_notification SET sent_ms = ?
            WHERE channel = ? AND change_id IN (SELECT value FROM json_each(?))`,
          nowMs,
          channel,
          JSON.stringify(changes.map(({ id }) => id)),
        ),
        // Changes nothing when this claim has ended and another attempt has one.
        prepare(
          "UPDATE change_notification_channel SET retry_ms = 0, tries = 0 WHERE name = ? AND retry_ms = ?",
          channel,
          retryMs,
        ),
      ]);
    },
    async readNextMs(channels) {
      const next = prepare(
        `SELECT min(max(enqueued_ms + ?, coalesce(retry_ms, 0))) AS nextMs
          FROM change_notification LEFT JOIN change_notification_channel ON name = channel
          WHERE sent_ms IS NULL AND channel IN (SELECT value FROM json_each(?))`,
        COLLECT_MS,
        JSON.stringify(channels),
      );
      return (await next.first<number>("nextMs")) ?? undefined;
    },
  };
}
