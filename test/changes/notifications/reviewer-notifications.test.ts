// Notifications to reviewers over a real database: one message for several changes, and none is lost or held up by another channel.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { createOutside, settingsOf, ORIGIN } from "./channels.ts";
import type { Outside } from "./channels.ts";
import type { ReviewerNotifications } from "../../../src/changes/notifications/reviewer-notifications.ts";

let outside: Outside;
let notifications: ReviewerNotifications;
const DECIDE = `Decide at ${ORIGIN}/changes`;
const DAY_MS = 86_400_000;

beforeEach(async () => {
  for (const table of ["change_notification", "change_notification_channel"])
    await env.GATEHOUSE_DB.prepare(`DELETE FROM ${table}`).run();
  outside = createOutside();
  notifications = outside.open();
});

async function enqueue(...changes: readonly (readonly [id: string, dataset: string])[]): Promise<void> {
  for (const [id, dataset] of changes) await notifications.enqueue({ id, dataset });
}

/** Lets time pass and sends what is due. Returns in how many seconds it should run again. */
async function sendAfter(seconds: number, from = notifications): Promise<number | undefined> {
  outside.nowMs += seconds * 1000;
  const nextMs = await from.sendDue();
  return nextMs === undefined ? undefined : (nextMs - outside.nowMs) / 1000;
}

const listTexts = (): readonly (readonly string[])[] => [
  outside.requests.map(({ text }) => text),
  outside.emails.map(({ text }) => text),
];
const countRows = async (): Promise<unknown> =>
  env.GATEHOUSE_DB.prepare("SELECT count(*) AS n FROM change_notification").first("n");

const failDatabase = async (): Promise<never> => {
  throw new Error("D1_ERROR: the database is not available");
};

describe("the message", () => {
  it.each([
    ["one change", [["c1", "shop.refunds"]], "1 change", ["1 change of shop.refunds waits for approval."]],
    [
      "several changes of one dataset",
      [
        ["c1", "shop.refunds"],
        ["c2", "shop.refunds"],
      ],
      "2 changes",
      ["2 changes of shop.refunds wait for approval."],
    ],
    [
      "changes of several datasets",
      [
        ["c1", "shop.refunds"],
        ["c2", "ops.stock"],
        ["c3", "shop.refunds"],
      ],
      "3 changes",
      ["2 changes of shop.refunds wait for approval.", "1 change of ops.stock waits for approval."],
    ],
  ] as const)("counts %s, and has the link to the page", async (_case, changes, subject, lines) => {
    for (const [index, change] of changes.entries()) {
      outside.nowMs += index;
      await enqueue(change);
    }
    expect(await sendAfter(20)).toBeUndefined();
    const text = [...lines, DECIDE].join("\n");
    expect(listTexts()).toEqual([[text], [text]]);
    expect(outside.emails[0]).toEqual({
      from: "gatehouse@harbor.example",
      to: ["ann@harbor.example", "bob@harbor.example"],
      subject: `${subject} ${changes.length === 1 ? "waits" : "wait"} for approval`,
      text,
    });
  });

  it("has no id, value, person or reason of a change, and the database has only its id and dataset", async () => {
    const change = {
      id: "5f0c4ae0d1b24c7e9a63b1d2e8f70911",
      dataset: "shop.refunds",
      requester: "carl@harbor.example",
      reason: "The customer asked nicely",
      rows: [{ key: "4711", amount_cents: 129_900 }],
    };
    await notifications.enqueue(change);
    outside.answerRequest = async () => new Response(null, { status: 500 });
    await sendAfter(20);
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT * FROM change_notification").all();
    const sent = JSON.stringify([outside.requests.map(({ body }) => body), outside.emails, outside.lines]);
    expect(outside.requests).toHaveLength(1);
    for (const secret of [change.id, "carl", "nicely", "4711", "129900", "129,900"]) expect(sent).not.toContain(secret);
    for (const secret of ["carl", "nicely", "4711", "129900"]) expect(JSON.stringify(results)).not.toContain(secret);
  });
});

describe("sendDue", () => {
  it("waits 20 seconds for the first change, and sends one message with all that came meanwhile", async () => {
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(12)).toBe(8);
    await enqueue(["c2", "shop.refunds"]);
    expect(await sendAfter(7.999)).toBe(0.001);
    expect(listTexts()).toEqual([[], []]);
    expect(await sendAfter(0.001)).toBeUndefined();
    const text = `2 changes of shop.refunds wait for approval.\n${DECIDE}`;
    expect(listTexts()).toEqual([[text], [text]]);
    await enqueue(["c3", "shop.refunds"]);
    expect(await sendAfter(1)).toBe(19);
  });

  it("announces a change once, also when it is enqueued again before and after it was sent", async () => {
    expect(await notifications.enqueue({ id: "c1", dataset: "shop.refunds" })).toBe(outside.nowMs + 20_000);
    await enqueue(["c1", "shop.refunds"]);
    await sendAfter(20);
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(60)).toBeUndefined();
    expect(listTexts().map(({ length }) => length)).toEqual([1, 1]);
  });

  it.each([
    ["the only change", ["c1"], undefined],
    ["one of two changes", ["c1", "c2"], `1 change of shop.refunds waits for approval.\n${DECIDE}`],
  ])("does not announce %s after it was withdrawn", async (_case, ids, expected) => {
    for (const id of ids) await enqueue([id, "shop.refunds"]);
    await notifications.withdraw("c1");
    expect(await sendAfter(20)).toBeUndefined();
    const texts = expected === undefined ? [] : [expected];
    expect(listTexts()).toEqual([texts, texts]);
  });

  it("does not announce a change again that was withdrawn after it was sent", async () => {
    await enqueue(["c1", "shop.refunds"]);
    await sendAfter(20);
    await notifications.withdraw("c1");
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(20)).toBeUndefined();
    expect(outside.requests).toHaveLength(1);
  });

  it("forgets a change 30 days after it was enqueued", async () => {
    await enqueue(["c1", "shop.refunds"]);
    await sendAfter(20);
    outside.nowMs += 30 * DAY_MS - 20_000;
    await enqueue(["c2", "shop.refunds"]);
    expect(await countRows()).toBe(4);
    outside.nowMs += 1;
    await enqueue(["c3", "shop.refunds"]);
    expect(await countRows()).toBe(4);
  });
});

describe("a channel that fails", () => {
  const failures: readonly (readonly [string, (at: Outside) => void, string])[] = [
    [
      "a status of 500",
      (at) => (at.answerRequest = async () => new Response("who are you?", { status: 500 })),
      "the webhook answered with status 500",
    ],
    [
      "a redirect",
      (at) => (at.answerRequest = async () => new Response(null, { status: 302, headers: { Location: "/" } })),
      "the webhook answered with status 302",
    ],
    [
      "no connection",
      (at) => (at.answerRequest = async (init) => Promise.reject(new Error(`no route to ${JSON.stringify(init)}`))),
      "the webhook could not be reached",
    ],
    [
      "a refused email with a code",
      (at) =>
        (at.answerEmail = async () =>
          Promise.reject(Object.assign(new Error("ann@harbor.example"), { code: "E_SENDER_NOT_VERIFIED" }))),
      "the email was refused with E_SENDER_NOT_VERIFIED",
    ],
    [
      "a refused email whose code is a text",
      (at) =>
        (at.answerEmail = async () =>
          Promise.reject(Object.assign(new Error("no"), { code: "ann@harbor.example is unknown" }))),
      "the email was refused with no code",
    ],
  ];
  it.each(failures)("does not stop the other, and is logged without secrets, after %s", async (_case, fail, line) => {
    fail(outside);
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(20)).toBe(30);
    expect(outside.lines).toEqual([`change notifications: ${line}; the next attempt is in 30 s.`]);
    expect(outside.requests.length + outside.emails.length).toBeGreaterThan(0);
    const isEmail = line.includes("email");
    expect(isEmail ? outside.requests : outside.emails).toHaveLength(1);
  });

  it("is retried after 30 seconds, then twice as long, up to an hour, while the other gets each message once", async () => {
    outside.answerEmail = async () => Promise.reject(new Error("unavailable"));
    await enqueue(["c1", "shop.refunds"]);
    const delays: unknown[] = [await sendAfter(20)];
    for (let attempt = 0; attempt < 8; attempt += 1) delays.push(await sendAfter(Number(delays.at(-1))));
    expect(delays).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    expect(outside.requests).toHaveLength(1);
    await enqueue(["c2", "shop.refunds"]);
    expect(await sendAfter(20)).toBe(3580);
    expect(outside.requests).toHaveLength(2);
    outside.answerEmail = async () => ({});
    expect(await sendAfter(3580)).toBeUndefined();
    expect(outside.emails.map(({ subject }) => subject)).toEqual(["2 changes wait for approval"]);
    expect(outside.requests).toHaveLength(2);
    // The next failure begins with the first wait again.
    outside.answerEmail = async () => Promise.reject(new Error("unavailable"));
    await enqueue(["c3", "shop.refunds"]);
    expect(await sendAfter(20)).toBe(30);
  });

  it.each([
    ["webhook", (at: Outside) => (at.answerRequest = async () => new Promise(() => {}))],
    ["email", (at: Outside) => (at.answerEmail = async () => new Promise(() => {}))],
  ])("is given up after its time, and tried again: a %s that never answers", async (name, hang) => {
    const isolate = outside.open({ timeoutMs: 30 });
    hang(outside);
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(20, isolate)).toBe(30);
    expect(outside.lines[0]).toContain(`the ${name} gave no answer in time`);
    expect(outside.requests.length + outside.emails.length).toBe(1);
  });

  it("is retried each hour after a thousand failures", async () => {
    await enqueue(["c1", "shop.refunds"]);
    await env.GATEHOUSE_DB.prepare("INSERT INTO change_notification_channel VALUES ('webhook', 0, 1000)").run();
    outside.answerRequest = async () => new Response(null, { status: 404 });
    expect(await sendAfter(20)).toBe(3600);
  });

  it("aborts the request to a webhook that never answers", async () => {
    const isolate = outside.open({ timeoutMs: 30 });
    const aborted = new Promise((resolve) => {
      outside.answerRequest = async ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => {
            resolve(signal.aborted);
            reject(new Error("aborted"));
          });
        });
    });
    await enqueue(["c1", "shop.refunds"]);
    await sendAfter(20, isolate);
    expect(await aborted).toBe(true);
  });

  it("is not waited for after its settings were removed", async () => {
    outside.answerRequest = async () => new Response(null, { status: 404 });
    await enqueue(["c1", "shop.refunds"]);
    expect(await sendAfter(20)).toBe(30);
    const { GATEHOUSE_WEBHOOK_URL: _url, GATEHOUSE_WEBHOOK_KEY: _key, ...environment } = settingsOf(outside);
    expect(await sendAfter(30, outside.open({ environment }))).toBeUndefined();
  });
});

describe("a crash or a second isolate", () => {
  /** A database whose batches fail while `isDown`. A claim is a batch, and so is the mark that a message was sent. */
  function openBreakableDatabase() {
    const link = { isDown: false };
    const database = new Proxy(env.GATEHOUSE_DB, {
      get(target, name) {
        if (name === "batch" && link.isDown) return failDatabase;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { link, database };
  }

  it("sends a message again when the mark was lost, after its claim and not before", async () => {
    const { link, database } = openBreakableDatabase();
    const dying = outside.open({ database });
    outside.answerRequest = async () => {
      link.isDown = true;
      return new Response("ok");
    };
    outside.answerEmail = async () => Promise.reject(new Error("unavailable"));
    await enqueue(["c1", "shop.refunds"]);
    await expect(sendAfter(20, dying)).rejects.toThrow("the database is not available");
    expect(outside.requests).toHaveLength(1);
    outside.answerRequest = async () => new Response("ok");
    outside.answerEmail = async () => ({});
    expect(await sendAfter(29.999)).toBe(0.001);
    expect([outside.requests.length, outside.emails.length]).toEqual([1, 0]);
    expect(await sendAfter(0.001)).toBeUndefined();
    expect(listTexts()[0]).toEqual(
      Array.from({ length: 2 }, () => `1 change of shop.refunds waits for approval.\n${DECIDE}`),
    );
    expect(outside.emails).toHaveLength(1);
  });

  it("sends a batch once when two isolates send at once", async () => {
    await enqueue(["c1", "shop.refunds"], ["c2", "shop.refunds"]);
    outside.nowMs += 20_000;
    const others = [outside.open(), outside.open(), outside.open()];
    await Promise.all(others.map(async (isolate) => isolate.sendDue()));
    expect(listTexts().map(({ length }) => length)).toEqual([1, 1]);
  });

  it("says when the claim of the other isolate ends, and keeps what is enqueued while that one sends", async () => {
    const arrived = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    outside.answerRequest = async () => {
      arrived.resolve();
      return answer.promise;
    };
    await enqueue(["c1", "shop.refunds"]);
    outside.nowMs += 20_000;
    const first = notifications.sendDue();
    await arrived.promise;
    await enqueue(["c2", "ops.stock"]);
    expect(await sendAfter(20, outside.open())).toBe(10);
    answer.resolve(new Response("ok"));
    expect(await first).toBe(outside.nowMs);
    expect(await sendAfter(0)).toBeUndefined();
    expect(listTexts()[0]).toEqual([
      `1 change of shop.refunds waits for approval.\n${DECIDE}`,
      `1 change of ops.stock waits for approval.\n${DECIDE}`,
    ]);
  });

  it("leaves the claim of a later attempt alone when an attempt succeeds after its own claim", async () => {
    const slow = [Promise.withResolvers<Response>(), Promise.withResolvers<Response>()];
    const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let requests = 0;
    outside.answerRequest = async () => {
      const at = requests++;
      arrivals[at]?.resolve();
      return slow[at]?.promise ?? new Response("ok");
    };
    await enqueue(["c1", "shop.refunds"]);
    outside.nowMs += 20_000;
    const first = notifications.sendDue();
    await arrivals[0]?.promise;
    outside.nowMs += 30_000;
    const second = outside.open().sendDue();
    await arrivals[1]?.promise;
    await enqueue(["c2", "ops.stock"]);
    slow[0]?.resolve(new Response("ok"));
    await first;
    // The second attempt still holds its claim, so a third one sends nothing.
    await sendAfter(40);
    expect(requests).toBe(2);
    slow[1]?.resolve(new Response("ok"));
    await second;
    expect(await sendAfter(0)).toBeUndefined();
    expect(requests).toBe(3);
  });
});

describe("without a channel", () => {
  it("stores nothing, sends nothing and never asks to run", async () => {
    const silent = outside.open({ environment: { GATEHOUSE_WEBHOOK_URL: "", GATEHOUSE_EMAIL_TO: "" } });
    expect(await silent.enqueue({ id: "c1", dataset: "shop.refunds" })).toBeUndefined();
    expect(await countRows()).toBe(0);
    await silent.withdraw("c1");
    expect(await sendAfter(60, silent)).toBeUndefined();
    expect(listTexts()).toEqual([[], []]);
  });
});
