// The local server as something that can be ended and started again on the same port and state, so that clients keep their URL. It
// follows the log for the calls that are open, and keeps to the budget of restarts; when to restart is supervise.ts.
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Handover, RefusedStatement } from "../../src/access/refused-statements.ts";
import type { LocalServer, RuntimeWatcher } from "../local.ts";
import { createRestartBudget } from "./health.ts";
import { followCalls, userOf } from "./open-calls.ts";
import type { Suspect } from "./open-calls.ts";
import type { QuarantineFile } from "./quarantine-file.ts";
import { printAside, printDefect, printLog } from "../terminal.ts";

export interface ServerOptions {
  readonly quarantine: QuarantineFile;
  /** Starts the server, always on the same port and state, with what the Worker is to know. */
  readonly start: (handover: Handover, watcher: RuntimeWatcher) => Promise<LocalServer>;
}

export interface ReplaceableServer {
  current(): LocalServer;
  /** Whether the operator has cleared statements that the Worker still refuses. */
  isOutdated(): boolean;
  /** Starts it again because of `reason`, refusing the statement that most probably caused that. Throws `SupervisorStopped`. */
  restart(reason: string): Promise<void>;
  /** Starts it again at once with today's refused statements. */
  update(): Promise<void>;
}

/** There were too many restarts. The message is for the operator. */
export class SupervisorStopped extends Error {}

/** Starts it. `onFailure`: it ends by itself too often. */
export async function startReplaceable(
  { quarantine, start }: ServerOptions,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<ReplaceableServer> {
  const [calls, takeRestart] = [followCalls(), restartTaker()];
  const watcher: RuntimeWatcher = {
    onLog(line, isError) {
      calls.read(line);
      printLog(line, isError);
    },
    onCrash() {
      const suspect = calls.end();
      // It may have another cause, such as a machine without memory: a statement is refused when it was running twice.
      report("The server ended by itself and is started again.", suspect, quarantine, suspect?.isRepeated === true);
      try {
        takeRestart();
      } catch (error) {
        onFailure(error);
      }
    },
  };
  let refused: readonly RefusedStatement[] = [];
  const startNext = async (): Promise<LocalServer> => {
    refused = quarantine.refused();
    return start({ startedMs: Date.now(), refused }, watcher);
  };
  let server = await startNext();

  const replace = async (firstWaitMs: number): Promise<void> => {
    let isStarted = false;
    for (let waitMs = firstWaitMs; !isStarted;) {
      await delay(waitMs, undefined, { signal });
      try {
        server = await startNext();
        isStarted = true;
      } catch (error) {
        // Another program may have taken the port meanwhile. The budget bounds the attempts.
        printAside("The server cannot be started:");
        printDefect(error);
        waitMs = takeRestart();
      }
    }
  };
  return {
    current: () => server,
    isOutdated: () => !isDeepStrictEqual(quarantine.refused(), refused),
    async restart(reason) {
      report(reason, calls.end(), quarantine, true);
      await server.miniflare.dispose();
      calls.forget();
      await replace(takeRestart());
    },
    async update() {
      await server.miniflare.dispose();
      calls.forget();
      await replace(0);
    },
  };
}

/** Takes restarts from the budget: the milliseconds to wait before each. */
function restartTaker(): () => number {
  const budget = createRestartBudget();
  return () => {
    const backOffMs = budget.take(performance.now());
    if (backOffMs !== undefined) return backOffMs;
    throw new SupervisorStopped(
      "The server had to be started again for the fourth time within a minute, so it stays ended. Look at the calls named above, then run npm start.",
    );
  };
}

/** Says which call ended the server, and refuses its statement to its user. */
function report(what: string, suspect: Suspect | undefined, quarantine: QuarantineFile, mayRefuse: boolean): void {
  if (suspect === undefined) return printAside(`${what} No call was running.`);
  const { operation, source, statement, call } = suspect.call;
  const user = userOf(suspect.call);
  const where = source === null ? operation : `${operation} on ${source}`;
  const cause = `${what} The most probable cause is call ${call}: ${where} by subject ${user}.`;
  if (statement === null || !mayRefuse) return printAside(cause);
  quarantine.add({ subject: user, statement, operation, source, call, atMs: Date.now() });
  printAside(
    `${cause} Statement ${statement} is refused to that subject until you clear it: npm run quarantine -- list, npm run quarantine -- clear`,
  );
}
