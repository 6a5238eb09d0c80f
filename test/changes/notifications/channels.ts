// The outside of notifications for their tests: a clock, and a webhook's receiver and an email binding that record messages and can fail.
import { env } from "cloudflare:workers";
import { openReviewerNotifications } from "../../../src/changes/notifications/reviewer-notifications.ts";
import type { WebhookRequest } from "../../../src/changes/notifications/webhook-channel.ts";
import type { ReviewerNotifications } from "../../../src/changes/notifications/reviewer-notifications.ts";

export const ORIGIN = "https://gatehouse.example";
export const WEBHOOK_URL = "https://hooks.example/services/T0/B0/the-secret-part-of-the-url";
export const WEBHOOK_KEY = "a key of tests, long enough to sign with";

/** A request as the receiver got it. */
interface ReceivedRequest {
  readonly body: string;
  readonly text: string;
}

interface ReceivedEmail {
  readonly from: string;
  readonly to: string[];
  readonly subject: string;
  readonly text: string;
}

/** Everything outside of one deployment. A test replaces the answers to make a channel fail. */
export interface Outside {
  nowMs: number;
  readonly requests: ReceivedRequest[];
  readonly emails: ReceivedEmail[];
  readonly lines: string[];
  answerRequest: (request: WebhookRequest) => Promise<Response>;
  answerEmail: () => Promise<unknown>;
  /** Opens the notifications as an isolate does. */
  open(overrides?: {
    readonly environment?: object;
    readonly database?: D1Database;
    readonly timeoutMs?: number;
  }): ReviewerNotifications;
}

/** The settings of both channels. */
export function settingsOf(outside: Pick<Outside, "emails" | "answerEmail">) {
  return {
    GATEHOUSE_WEBHOOK_URL: WEBHOOK_URL,
    GATEHOUSE_WEBHOOK_KEY: WEBHOOK_KEY,
    GATEHOUSE_EMAIL_FROM: "gatehouse@harbor.example",
    GATEHOUSE_EMAIL_TO: "ann@harbor.example, bob@harbor.example",
    GATEHOUSE_EMAIL: {
      async send(email: ReceivedEmail): Promise<unknown> {
        const answer = await outside.answerEmail();
        outside.emails.push(email);
        return answer;
      },
    },
  };
}

/** Creates an outside that accepts everything. */
export function createOutside(): Outside {
  const outside: Outside = {
    nowMs: Date.parse("2026-11-28T12:00:00Z"),
    requests: [],
    emails: [],
    lines: [],
    answerRequest: async () => new Response("ok"),
    answerEmail: async () => ({ messageId: "1" }),
    open: ({ environment = settingsOf(outside), database = env.GATEHOUSE_DB, ...rest } = {}) =>
      openReviewerNotifications({
        database,
        environment,
        origin: ORIGIN,
        now: () => outside.nowMs,
        async fetch(_url, request) {
          const response = await outside.answerRequest(request);
          const { text }: { text: string } = JSON.parse(request.body);
          outside.requests.push({ body: request.body, text });
          return response;
        },
        log: (line) => void outside.lines.push(line),
        ...rest,
      }),
  };
  return outside;
}
