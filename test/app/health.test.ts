// /health: what uptime monitors learn, and what it costs the database.
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { createHealthCheck } from "../../src/app/health.ts";
import { ORIGIN } from "../support/worker.ts";

const HEALTH = `${ORIGIN}/health`;

/** A database that fails with another system's text. */
const failing: D1Database = Object.create(env.GATEHOUSE_DB, {
  prepare: {
    value: () => {
      throw new Error("D1_ERROR: secret internal text");
    },
  },
});

/** Asks a new isolate. */
async function ask(bindings: Partial<Env> = {}, init: RequestInit = {}): Promise<Response> {
  return createGatehouse(sample).handler.fetch(
    new Request(HEALTH, init),
    { ...env, ...bindings },
    createExecutionContext(),
  );
}

/** Counts the reads of a database. */
function createCheck(database: D1Database) {
  const clock = { ms: 0 };
  const reads = vi.fn((sql: string) => database.prepare(sql));
  const counted: D1Database = Object.create(database, { prepare: { value: reads } });
  const check = createHealthCheck({ database: counted, now: () => clock.ms, waitUntil: () => {}, onError: () => {} });
  return { check, clock, reads };
}

afterEach(async () => {
  vi.restoreAllMocks();
  await env.GATEHOUSE_DB.exec("UPDATE layout SET number = 1, oldest_reader = 1");
});

describe("/health", () => {
  it("answers 200 without sign-in when the database has the right layout", async () => {
    const response = await ask();
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.text()).toBe('{"status":"ok"}');
  });

  it("answers HEAD without a body", async () => {
    const response = await ask({}, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toBe("");
  });

  it("refuses other methods", async () => {
    const response = await ask({}, { method: "POST" });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
  });

  it("answers 503 with wrong_layout, and without the numbers, when a newer version changed the database", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await env.GATEHOUSE_DB.exec("UPDATE layout SET number = 99, oldest_reader = 99");
    const response = await ask();
    expect(response.status).toBe(503);
    expect(await response.text()).toBe('{"status":"failed","cause":"wrong_layout"}');
  });

  it("answers 503 with database_unavailable, and without the database's text, when the database fails", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await ask({ GATEHOUSE_DB: failing });
    expect(response.status).toBe(503);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toBe('{"status":"failed","cause":"database_unavailable"}');
    expect(JSON.stringify(log.mock.calls)).toContain("secret internal text");
  });

  it("answers 503 with not_configured, and without the setting, when a setting is wrong", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await ask({ GATEHOUSE_URL: "no URL" });
    expect(response.status).toBe(503);
    expect(await response.text()).toBe('{"status":"failed","cause":"not_configured"}');
  });
});

describe("the check of the database", () => {
  it("reads it once for many requests at the same time, and again only after five seconds", async () => {
    const { check, clock, reads } = createCheck(env.GATEHOUSE_DB);
    expect(new Set(await Promise.all(Array.from({ length: 50 }, async () => check())))).toEqual(new Set(["ok"]));
    clock.ms = 4999;
    await check();
    expect(reads).toHaveBeenCalledTimes(1);
    clock.ms = 5000;
    await check();
    expect(reads).toHaveBeenCalledTimes(2);
  });

  it("notices within five seconds that the database fails, and that it works again", async () => {
    let isDown = false;
    const { check, clock } = createCheck(
      Object.create(env.GATEHOUSE_DB, {
        prepare: { value: (sql: string) => (isDown ? failing : env.GATEHOUSE_DB).prepare(sql) },
      }),
    );
    expect(await check()).toBe("ok");
    isDown = true;
    clock.ms += 5000;
    expect(await check()).toBe("database_unavailable");
    isDown = false;
    clock.ms += 5000;
    expect(await check()).toBe("ok");
  });

  it("answers after a second when the database does not", async () => {
    const { check } = createCheck(
      Object.create(env.GATEHOUSE_DB, { prepare: { value: () => ({ first: () => new Promise(() => {}) }) } }),
    );
    expect(await check()).toBe("database_unavailable");
  });
});
