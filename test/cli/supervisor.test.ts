// Tests the decisions of the supervisor of `npm start`, with times and log lines made by the tests. test/survival tests real restarts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import inspector from "node:inspector";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isDebuggerAttached } from "../../cli/local-server/supervisor/debugger.ts";
import { createRestartBudget, watchHealth } from "../../cli/local-server/supervisor/health.ts";
import { followCalls } from "../../cli/local-server/supervisor/open-calls.ts";
import { openQuarantine } from "../../cli/local-server/supervisor/quarantine-file.ts";
import { createCallLog } from "../../src/audit/call-log.ts";

const QUERY_SECONDS = 20;
const START_MS = 5_000_000;
const WALL_MS = 1_700_000_000_000;

interface Situation {
  readonly isAnswered?: boolean;
  readonly isDebugged?: boolean;
  /** How much later than planned the check runs, by each clock. */
  readonly lateMs?: number;
  readonly wallLateMs?: number;
}

/** Creates a watch and a function that makes the next check at the time when the supervisor would. */
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
  /** Notes that a call has ended at the end of the last check, or so much before. */
  const endCall = (agoMs = 0): void => watch.noteCallEnd(nowMs - agoMs);
  /** Checks until the server is found stuck, and returns the seconds of silence before. */
  const silenceUntilStuck = (situation?: Situation): number => {
    const silentSinceMs = nowMs + watch.intervalMs;
    for (let count = 0; count < 100; count += 1) if (check(situation)) return (nowMs - silentSinceMs) / 1000;
    return Infinity;
  };
  return { check, endCall, silenceUntilStuck, watch };
}

describe("the health watch", () => {
  it.each([1, 2, 20, 60])("finds a server stuck after more than %i seconds of silence", (seconds) => {
    const { check, silenceUntilStuck } = watching(seconds);
    expect(check({ isAnswered: true })).toBe(false);
    const silence = silenceUntilStuck();
    expect(silence).toBeGreaterThan(seconds);
    expect(silence).toBeLessThan(seconds + 5);
  });

  it("needs several missed checks, however long the first took", () => {
    const { check } = watching(1);
    expect(check({ lateMs: 1500 })).toBe(false);
    expect(check()).toBe(false);
  });

  it("starts again after each answer", () => {
    const { check } = watching();
    for (let count = 0; count < 30; count += 1) expect(check({ isAnswered: count % 5 === 4 })).toBe(false);
  });

  it.each([1, 2, 20])("starts again after each call that ends, when queries may take %i seconds", (seconds) => {
    const { check, endCall } = watching(seconds);
    for (let count = 0; count < 60; count += 1) {
      expect(check()).toBe(false);
      if (count % 2 === 1) endCall();
    }
  });

  it("finds a server stuck after the same silence, whether calls ended before it or none", () => {
    const { check, endCall, silenceUntilStuck } = watching();
    for (let count = 0; count < 4; count += 1) check();
    endCall();
    const silence = silenceUntilStuck();
    expect(silence).toBeGreaterThan(QUERY_SECONDS);
    expect(silence).toBeLessThan(QUERY_SECONDS + 5);
  });

  it("counts the silence from a call that ended during a missed check", () => {
    const { check, endCall, watch } = watching();
    check();
    endCall(watch.timeoutMs / 2);
    const checks = (QUERY_SECONDS * 1000) / (watch.intervalMs + watch.timeoutMs);
    for (let count = 0; count < checks; count += 1) expect(check()).toBe(false);
    expect(check()).toBe(true);
  });

  it("finds no server stuck while a debugger is attached, but does so afterwards", () => {
    const { silenceUntilStuck } = watching();
    expect(silenceUntilStuck({ isDebugged: true })).toBe(Infinity);
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });

  it.each([
    ["ran", { lateMs: 3_600_000 }],
    ["stopped", { wallLateMs: 3_600_000 }],
  ])("starts again after a suspend during which the monotonic clock %s", (_clock, late) => {
    const { check, silenceUntilStuck } = watching();
    for (let count = 0; count < 4; count += 1) expect(check()).toBe(false);
    expect(check(late)).toBe(false);
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });

  it("ignores a wall clock that is set back", () => {
    const { check, silenceUntilStuck } = watching();
    check({ isAnswered: true, wallLateMs: -3_600_000 });
    expect(silenceUntilStuck()).toBeLessThan(QUERY_SECONDS + 5);
  });

  it("starts again after a restart", () => {
    const { silenceUntilStuck, watch } = watching();
    silenceUntilStuck();
    watch.reset();
    expect(silenceUntilStuck()).toBeGreaterThan(QUERY_SECONDS);
  });
});

describe("isDebuggerAttached", () => {
  it("is true while the inspector of this Node is open", () => {
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

describe("the restart budget", () => {
  it("waits longer before each restart, and is used up after three restarts in a minute", () => {
    const budget = createRestartBudget();
    const waits = [0, 10_000, 20_000].map((atMs) => budget.take(atMs) ?? NaN);
    expect(waits).toEqual(waits.toSorted((one, other) => one - other));
    expect(new Set(waits).size).toBe(3);
    expect(budget.take(59_999)).toBeUndefined();
    // The first restart was a minute ago.
    expect(budget.take(60_000)).toBe(waits[2]);
    expect(budget.take(60_001)).toBeUndefined();
    expect(budget.take(1_000_000)).toBe(waits[0]);
  });
});

const UNTRACED = { trace: null, clientTrace: null };

/** Creates a tracker of calls, and a function that begins a call and logs it as the Worker does. */
function following() {
  const calls = followCalls();
  const log = createCallLog(
    () => 0,
    (line) => calls.read(line),
  );
  const begin = (call: string, subject: string, statement: string | null = null, owner: string | null = null) =>
    log({
      ...UNTRACED,
      call,
      subject,
      owner,
      operation: statement === null ? "search" : "query",
      source: "shop",
      statement,
    });
  return { calls, begin };
}

describe("the call blamed for a stop of the server", () => {
  it("is the call that has begun and not ended", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1")("answered");
    begin("c2", "bob", "s2");
    begin("c3", "ann", "s3")("query_failed");
    calls.read("some other line of the log");
    expect(calls.end()).toMatchObject({ call: { call: "c2", subject: "bob", statement: "s2" }, isRepeated: false });
  });

  it("is undefined when no call is open, and no call is blamed twice", () => {
    const { calls, begin } = following();
    expect(calls.end()).toBeUndefined();
    begin("c1", "ann", "s1");
    expect(calls.end()).toBeDefined();
    expect(calls.end()).toBeUndefined();
  });

  it("is the last query to begin when several are open", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    begin("c2", "bob", "s2");
    begin("c3", "bob");
    expect(calls.end()?.call.call).toBe("c2");
  });

  it("is a query that was never answered rather than one that was", () => {
    const { calls, begin } = following();
    begin("c1", "bob", "s2")("answered");
    begin("c2", "ann", "s1");
    begin("c3", "bob", "s2");
    expect(calls.end()?.call.call).toBe("c2");
  });

  it("is the query that was also open at an earlier stop, even if another was blamed then", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    begin("c2", "bob", "s2");
    expect(calls.end()?.call.subject).toBe("bob");
    begin("c3", "ann", "s1");
    begin("c4", "carol", "s4");
    expect(calls.end()).toMatchObject({ call: { call: "c3" }, isRepeated: true });
  });

  it("is not a call that a planned restart interrupted", () => {
    const { calls, begin } = following();
    begin("c1", "ann", "s1");
    calls.forget();
    expect(calls.end()).toBeUndefined();
    begin("c2", "ann", "s1");
    expect(calls.end()?.isRepeated).toBe(false);
  });

  it("treats all personal access tokens of one owner as one user", () => {
    const { calls, begin } = following();
    begin("c1", "token 1", "s1", "ann");
    calls.end();
    begin("c2", "token 2", "s1", "ann");
    expect(calls.end()?.isRepeated).toBe(true);
  });
});

describe("a line of the log", () => {
  const call = {
    ...UNTRACED,
    call: "c1",
    subject: "ann",
    owner: null,
    operation: "query",
    source: "shop",
    statement: "s1",
  };
  const begin = JSON.stringify({ event: "call_begin", ...call });
  const end = (outcome: string): string => JSON.stringify({ event: "call_end", ...call, outcome, ms: 1 });

  it.each(["answered", "query_failed", "query_refused", "internal"])(
    "ends an open call when its outcome is %s",
    (outcome) => {
      const calls = followCalls();
      expect(calls.read(begin)).toBe(false);
      expect(calls.read(end(outcome))).toBe(true);
    },
  );

  it("ends no call that has not begun or has ended before", () => {
    const calls = followCalls();
    expect(calls.read(end("answered"))).toBe(false);
    calls.read(begin);
    expect(calls.read("some other line")).toBe(false);
    expect(calls.read(end("answered"))).toBe(true);
    expect(calls.read(end("answered"))).toBe(false);
  });
});

describe("the file of refused statements", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-quarantine-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const entry = { subject: "ann", statement: "s1", operation: "query", source: "shop", call: "c1", atMs: WALL_MS };

  it("lists each statement of a user once until it is cleared", () => {
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

  it.each(["", "{", "{}", '[{"subject":"ann"}, 7, null]'])("is read as empty when its content is %j", (text) => {
    writeFileSync(path.join(dir, "refused-statements.json"), text);
    expect(openQuarantine(dir).refused()).toEqual([]);
    openQuarantine(dir).add(entry);
    expect(openQuarantine(dir).list()).toMatchObject([entry]);
  });
});

describe("npm run quarantine", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-quarantine-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const run = (state: string, ...args: readonly string[]) =>
    spawnSync(process.execPath, ["cli/main.ts", "quarantine", ...args], {
      cwd: path.resolve(import.meta.dirname, "../.."),
      env: { ...process.env, GATEHOUSE_STATE: state },
      encoding: "utf8",
    });

  it.each([
    [[], 2, "Usage: npm run gatehouse -- quarantine"],
    [["list", "x"], 2, "Too many arguments for 'list'."],
    [["clear", "a", "b"], 2, "Too many arguments for 'clear'."],
    [["clear", "0badcafe"], 1, "There is no refused statement 0badcafe."],
  ])("refuses the arguments %j with exit code %i and the message: %s", (args, exitCode, message) => {
    const { status, stderr } = run(dir, ...args);
    expect(status).toBe(exitCode);
    expect(stderr).toContain(message);
  });

  it("says to run npm start when there is no local state", () => {
    expect(run(path.join(dir, "absent"), "list").stderr).toContain("Run npm start first.");
  });

  it("says when no statement is refused", () => {
    expect(run(dir, "list").stdout).toBe("No statement is refused.\n");
    expect(run(dir, "clear").stdout).toBe("0 statements were cleared.\n");
  });
});
