// What a ledger checks of a call besides its limits: whether an operator has paused it, when it begins and again when it is committed, and
// whether an operator should hear of it.
import { LIST_PATS_ACTION } from "./browser-operation.ts";
import type { Identity } from "../lib/identity.ts";
import type { Attempt, CommitOptions, CommitResult, Outcome, RecordPriority } from "./audit-record.ts";
import { buildPausedOutcome } from "./pause-model.ts";
import type { Pause, PauseSnapshot } from "./pause-model.ts";
import { createPauses } from "./pauses.ts";
import type { Records } from "./records.ts";
import { createSignals } from "./signals.ts";
import type { SignalOptions } from "./signals.ts";

/** The checks of one ledger. Each method that writes runs in a transaction of its own. */
export interface CallChecks {
  /** Finds the pause that stops a call before it begins. The attempt must be bounded, as the ids of paused clients are. */
  findPause(attempt: Attempt, identity: Identity, priority: RecordPriority): Pause | undefined;
  /** Refuses a call, and records the first one that a pause stops. */
  refuse(attempt: Attempt, pause: Pause): { readonly ok: false; readonly reason: "paused"; readonly pause: Pause };
  listPausedSources(): readonly Pause[];
  readonly applyPauses: (snapshot: PauseSnapshot) => boolean;
  /** Commits a call. An answer with data does not leave when it was paused meanwhile. */
  commit(call: string, outcome: Outcome, defence: CommitOptions["defence"]): CommitResult;
  /** Looks at an event that was recorded. */
  observeEvent(attempt: Attempt, outcome: Outcome): void;
}

/** What the checks need besides the storage. */
interface CallChecksOptions {
  readonly records: Pick<Records, "commit" | "findRunning" | "appendAlways">;
  readonly subjectId: string;
  /** Without it, nothing is reported. */
  readonly signals: SignalOptions | undefined;
  readonly now: () => number;
}

/** Creates the checks over the tables of a ledger. */
export function createCallChecks(
  storage: DurableObjectStorage,
  { records, subjectId, signals: signalOptions, now }: CallChecksOptions,
): CallChecks {
  const pauses = createPauses(storage.sql, records, subjectId);
  const signals = signalOptions && createSignals(storage.sql, subjectId, signalOptions);

  function commit(call: string, outcome: Outcome, defence: CommitOptions["defence"], nowMs: number): CommitResult {
    const running = records.findRunning(call);
    // A repeated commit, or one that comes too late, changes nothing.
    if (running === undefined) return records.commit(call, outcome, nowMs);
    // An answer without data may take access away, such as the revocation of a personal access token.
    const hasData = outcome.datasets.length > 0 || outcome.rows > 0 || running.operation === "replay";
    const pause = outcome.result === "answered" && hasData ? pauses.findForAnswer(running, outcome, nowMs) : undefined;
    if (pause !== undefined) {
      records.commit(call, { ...buildPausedOutcome(pause), roles: outcome.roles }, nowMs);
      return { ok: false, reason: "paused", pause };
    }
    const committed = records.commit(call, outcome, nowMs);
    signals?.observeCall(call, outcome, defence, nowMs);
    return committed;
  }

  return {
    // What takes access away is never refused, nor is the list in which its personal access tokens are found.
    findPause: (attempt, { token }, priority) =>
      priority === "revocation" || priority === "event" || attempt.operation === LIST_PATS_ACTION
        ? undefined
        : pauses.findForCaller(attempt, token?.id, now()),
    refuse(attempt, pause) {
      storage.transactionSync(() => pauses.recordRefusal(attempt, pause, now()));
      return { ok: false, reason: "paused", pause };
    },
    listPausedSources: () => pauses.listSources(now()),
    applyPauses: (snapshot) => storage.transactionSync(() => pauses.apply(snapshot, now())),
    commit: (call, outcome, defence) => storage.transactionSync(() => commit(call, outcome, defence, now())),
    observeEvent: (attempt, outcome) => storage.transactionSync(() => signals?.observeEvent(attempt, outcome, now())),
  };
}
