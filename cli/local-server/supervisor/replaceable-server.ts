// Runs the local server so that it can be replaced on the same port and state, and clients keep their URL. It tracks open calls in the
// log and enforces the budget of restarts; supervise.ts decides when to restart.
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Handover, RefusedStatement } from "../../../src/audit/refused-statements.ts";
import type { LocalServer, RuntimeWatcher } from "../local.ts";
import { createRestartBudget } from "./health.ts";
import { followCalls, userOf } from "./open-calls.ts";
import type { Suspect } from "./open-calls.ts";
import type { QuarantineFile } from "./quarantine-file.ts";
import { CliError } from "../../kit/cli-error.ts";
import { printAside, printDefect, printLog } from "../../kit/terminal.ts";

/** How to start the server, and where refused statements are stored. */
export interface ServerOptions {
  readonly quarantine: QuarantineFile;
  /** Starts the server, always on the same port and state, and passes the handover to the Worker. */
  readonly start: (handover: Handover, watcher: RuntimeWatcher) => Promise<LocalServer>;
}

/** Hears what happens on the server between its starts. */
interface ServerListener {
  /** Called when the log says that a call has ended. */
  readonly onCallEnd: () => void;
  /** Called when the server crashes too often. */
  readonly onFailure: (error: unknown) => void;
}

/** A running server that can be restarted. */
export interface ReplaceableServer {
  current(): LocalServer;
  /** Whether the operator has cleared statements that the Worker still refuses. */
  isOutdated(): boolean;
  /** Prints `reason`, refuses the statement that most probably caused it, and restarts. Throws `CliError`. */
  restart(reason: string): Promise<void>;
  /** Restarts at once with the current refused statements. */
  update(): Promise<void>;
}

/** Starts the server. */
export async function startReplaceable(
  { quarantine, start }: ServerOptions,
  signal: AbortSignal,
  { onCallEnd, onFailure }: ServerListener,
): Promise<ReplaceableServer> {
  const [calls, takeRestart] = [followCalls(), restartTaker()];
  const watcher: RuntimeWatcher = {
    onLog(line, isError) {
      if (calls.read(line)) onCallEnd();
      printLog(line, isError);
    },
    onCrash() {
      const suspect = calls.end();
      // A crash may have another cause, such as lack of memory, so a statement is refused only if it was running at two stops.
      report("The server ended by itself and is restarting.", suspect, quarantine, suspect?.isRepeated === true);
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
        // Another program may have taken the port in the meantime. The budget limits the attempts.
        printAside("The server could not be started:");
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

/** Returns a function that takes a restart from the budget and returns the milliseconds to wait. It throws `CliError`. */
function restartTaker(): () => number {
  const budget = createRestartBudget();
  return () => {
    const backOffMs = budget.take(performance.now());
    if (backOffMs !== undefined) return backOffMs;
    throw new CliError(
      [
        "The server needed a fourth restart within a minute, so it was stopped.",
        "Look at the calls named above, then run npm start.",
      ].join(" "),
    );
  };
}

/** Prints which call probably stopped the server, and refuses its statement to its user if `mayRefuse`. */
function report(reason: string, suspect: Suspect | undefined, quarantine: QuarantineFile, mayRefuse: boolean): void {
  if (suspect === undefined) return printAside(`${reason} No call was running.`);
  const { operation, source, statement, call } = suspect.call;
  const user = userOf(suspect.call);
  const where = source === null ? operation : `${operation} on ${source}`;
  const cause = `${reason} The most probable cause is call ${call}: ${where} by subject ${user}.`;
  if (statement === null || !mayRefuse) return printAside(cause);
  quarantine.add({ subject: user, statement, operation, source, call, atMs: Date.now() });
  printAside(
    `${cause} Statement ${statement} is refused to that subject until you clear it: ` +
      `npm run quarantine -- list, npm run quarantine -- clear`,
  );
}
