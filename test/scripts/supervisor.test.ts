// What the supervisor of `npm start` decides, with times and log lines of the test. That it really restarts: test/survival.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import inspector from "node:inspector";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isDebuggerAttached } from "../../scripts/supervisor/debugger.ts";
import { createRestartBudget, watchHealth } from "../../scripts/supervisor/health.ts";
import { followCalls } from "../../scripts/supervisor/open-calls.ts";
import { openQuarantine } from "../../scripts/supervisor/quarantine-file.ts";
import { createCallLog } from "../../src/access/call-log.ts";

const QUERY_SECONDS = 20;
const START_MS = 5_000_000;
const WALL_MS = 1_700_000_000_000;

interface Situation {
  readonly isAnswered?: boolean;
  readonly isDebugged?: boolean;
  /** How much later than planned the check comes, by each clock. */
  readonly lateMs?: number;
  readonly wallLateMs?: number;
}

/** A watch whose checks follow each other as the supervisor makes them. */
function watching(querySeconds = QUERY_SECONDS) {
  const watch = watchHealth(querySeconds);
  let [nowMs, wallMs] = [START_MS, WALL_MS];
  const check = (situation: Situation = {}): boolean => {
    const { isAnswered = false, isDebugged = false, lateMs = 0, wallLateMs = lateMs } = situation;
    const beganMs = nowMs + watch.intervalMs + lateMs;
    const tookMs = isAnswered ? 5 : watch.timeoutMs;
    wallMs += watch.intervalMs + wallLateMs + tookMs;
    nowMs = beganMs + tookMs;
    return watch.isStuck({ beganMs, endedMs: nowMs, wallMs, isAnswered, isDebugged });
  };
  /** Seconds of silence until it is stuck. */
  const silenceUntilStuck = (situation?: Situation): number => {
    const silentSinceMs = nowMs + watch.intervalMs;
    for (let count = 0; count < 100; count += 1) if (check(situation)) return (nowMs - silentSinceMs) / 1000;
    return Infinity;
  };
  return { check, silenceUntilStuck, watch };
}

describe("the health watch", () => {
  it.each([1, 2, 20, 60])("finds a server stuck soon after it was silent for %i seconds, and not before", (seconds) => {
    const { check, silenceUntilStuck } = watching(seconds);
    expect(check({ isAnswered: true })).toBe(false);
    const silence = silenceUntilStuck();
    expect(silence).toBeGreaterThan(seconds);
    expect(silence).toBeLessThan(seconds + 5);
  });

  it("takes several missed checks, however long the first took", () => {
    const { check } = watching(1);
    expect(check({ lateMs: 1500 })).toBe(false);
    expect(check()).toBe(false);
  });

  it("begins anew with each answer", () => {
    const { check } = watching();
    for (let count = 0; count < 30; count += 1) expect(check({ isAnswered: count % 5 === 4 })).toBe(false);
  });

  it("never finds a server stuck under a debugger, and finds it after that", () => {
    const { silenceUntilStuck } = watching();
    expect(silenceUntilStuck({ isDebugged: true })).toBe(Infinity);
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });

  it.each([
    ["went on", { lateMs: 3_600_000 }],
    ["stood still", { wallLateMs: 3_600_000 }],
  ])("begins anew after a suspend in which the monotonic clock %s", (_what, late) => {
    const { check, silenceUntilStuck } = watching();
    for (let count = 0; count < 4; count += 1) expect(check()).toBe(false);
    expect(check(late)).toBe(false);
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });

  it("does not mind the time of day being set back", () => {
    const { check, silenceUntilStuck } = watching();
    check({ isAnswered: true, wallLateMs: -3_600_000 });
    expect(silenceUntilStuck()).toBeLessThan(QUERY_SECONDS + 5);
  });

  it("begins anew after a restart", () => {
    const { silenceUntilStuck, watch } = watching();
    silenceUntilStuck();
    watch.reset();
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });
});

describe("a debugger", () => {
  it("is attached while the inspector of this Node is open", () => {
    expect(isDebuggerAttached()).toBe(false);
    inspector.open(0, "127.0.0.1");
    try {
      expect(isDebuggerAttached()).toBe(true);
    } finally {
      inspector.close();
    }
    expect(isDebuggerAttached()).toBe(false);
  });
});

describe("the budget of restarts", () => {
  it("waits longer before each restart, and has none left after three in a minute", () => {
    const budget = createRestartBudget();
    const waits = [0, 10_000, 20_000].map((atMs) => budget.take(atMs) ?? NaN);
    expect(waits).toEqual(waits.toSorted((one, other) => one - other));
    expect(new Set(waits).size).toBe(3);
    expect(budget.take(59_999)).toBeUndefined();
    // The first one is a minute ago.
    expect(budget.take(60_000)).toBe(waits[2]);
    expect(budget.take(60_001)).toBeUndefined();
    expect(budget.take(1_000_000)).toBe(waits[0]);
  });
});

/** Calls that write their lines as the Worker does. */
function following() {
  const calls = followCalls();
  const log = createCallLog(
    () => 0,
    (line) => calls.read(line),
  );
  const begin = (call: string, subject: string, statement: string | null = null, owner: string | null = null) =>
    log({ call, subject, owner, operation: statement === null ? "search" : "query", source: "shop", statement });
  return { calls, begin };
}

describe("the call that ended the server", () => {
  it("is the one that has begun and not ended", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1")("answered");
    begin("c2", "bob", "s2");
    begin("c3", "ann", "s3")("query_failed");
    calls.read("some other line of the log");
    expect(calls.end()).toMatchObject({ call: { call: "c2", subject: "bob", statement: "s2" }, isRepeated: false });
  });

  it("is unknown when none was open, and a call is blamed once", () => {
    const { calls, begin } = following();
    expect(calls.end()).toBeUndefined();
    begin("c1", "ann", "s1");
    expect(calls.end()).toBeDefined();
    expect(calls.end()).toBeUndefined();
  });

  it("is the one that began last, of several queries", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    begin("c2", "bob", "s2");
    begin("c3", "bob");
    expect(calls.end()?.call.call).toBe("c2");
  });

  it("is rather a query that was never answered than one that was", () => {
    const { calls, begin } = following();
    begin("c1", "bob", "s2")("answered");
    begin("c2", "ann", "s1");
    begin("c3", "bob", "s2");
    expect(calls.end()?.call.call).toBe("c2");
  });

  it("is the query that ran before an earlier end, too, when somebody else's was named then", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    begin("c2", "bob", "s2");
    expect(calls.end()?.call.subject).toBe("bob");
    begin("c3", "ann", "s1");
    begin("c4", "carol", "s4");
    expect(calls.end()).toMatchObject({ call: { call: "c3" }, isRepeated: true });
  });

  it("is none of those that an orderly replacement cut off", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    calls.forget();
    expect(calls.end()).toBeUndefined();
    begin("c2", "ann", "s1");
    expect(calls.end()?.isRepeated).toBe(false);
  });

  it("counts the access tokens of one owner as one user", () => {
    const { calls, begin } = following();
    begin("c1", "token 1", "s1", "ann");
    calls.end();
    begin("c2", "token 2", "s1", "ann");
    expect(calls.end()?.isRepeated).toBe(true);
  });
});

describe("the file of refused statements", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-quarantine-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const entry = { subject: "ann", statement: "s1", operation: "query", source: "shop", call: "c1", atMs: WALL_MS };

  it("keeps each statement of a user once, and forgets what is cleared", () => {
    const quarantine = openQuarantine(dir);
    expect(quarantine.list()).toEqual([]);
    quarantine.add(entry);
    quarantine.add({ ...entry, call: "c2" });
    quarantine.add({ ...entry, subject: "bob" });
    expect(openQuarantine(dir).list()).toMatchObject([entry, { ...entry, subject: "bob" }]);
    expect(quarantine.refused()).toEqual([
      { subject: "ann", statement: "s1" },
      { subject: "bob", statement: "s1" },
    ]);
    expect(quarantine.clear("another id")).toBe(0);
    expect(quarantine.clear(quarantine.list()[0]?.id)).toBe(1);
    expect(quarantine.list()).toMatchObject([{ subject: "bob" }]);
    expect(quarantine.clear()).toBe(1);
    expect(quarantine.list()).toEqual([]);
  });

  it.each(["", "{", "{}", '[{"subject":"ann"}, 7, null]'])(
    "does not keep the server from starting when it is %j",
    (text) => {
      writeFileSync(path.join(dir, "refused-statements.json"), text);
      expect(openQuarantine(dir).refused()).toEqual([]);
      openQuarantine(dir).add(entry);
      expect(openQuarantine(dir).list()).toMatchObject([entry]);
    },
  );
});

describe("npm run quarantine", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-quarantine-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const run = (state: string, ...args: readonly string[]) =>
    spawnSync(process.execPath, ["scripts/quarantine.ts", ...args], {
      cwd: path.resolve(import.meta.dirname, "../.."),
      env: { ...process.env, GATEHOUSE_STATE: state },
      encoding: "utf8",
    });

  it.each([
    [[], "Say what to do: list, clear <id>"],
    [["list", "x"], "Say what to do: list, clear <id>"],
    [["clear", "a", "b"], "Say what to do: list, clear <id>"],
    [["clear", "0badcafe"], "There is no refused statement 0badcafe."],
  ])("refuses %j and says why", (args, message) => {
    const { status, stderr } = run(dir, ...args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  it("says that there is no state before the first start", () => {
    expect(run(path.join(dir, "absent"), "list").stderr).toContain("Run npm start first.");
  });

  it("says that no statement is refused", () => {
    expect(run(dir, "list").stdout).toBe("No statement is refused.\n");
    expect(run(dir, "clear").stdout).toBe("0 statements are cleared.\n");
  });
});
