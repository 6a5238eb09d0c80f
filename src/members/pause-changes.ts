// Propagates pauses and their ends to every ledger that they concern. A change stays pending in GATEHOUSE_DB until each of them has it, so
// a crash or a ledger that does not answer loses none. Propagation can be repeated.
import type { PauseLedger } from "../audit/audit-record.ts";
import type { PauseStore, PropagatedPause, WaitingLedger } from "./pause-store.ts";

/** What propagation needs. */
interface PauseChangesDependencies {
  readonly pauses: PauseStore;
  readonly openLedger: (subjectId: string) => PauseLedger;
  /** Called with each change that has reached every ledger. */
  readonly onPropagated: (change: PropagatedPause) => void;
  readonly onError: (error: unknown) => void;
}

/** Propagates pauses. */
export interface PauseChanges {
  /** Propagates pending changes. A ledger that does not answer is logged, stops no other, and gets them in a later run. */
  propagate(): Promise<void>;
}

/** The number of ledgers that are given pauses at the same time. */
const ROUND_SIZE = 50;
/** The most ledgers of one run, for the platform's limit on calls of one request; the next run continues. */
const MAX_ROUNDS = 16;

/** Creates the propagation of pauses. */
export function createPauseChanges(dependencies: PauseChangesDependencies): PauseChanges {
  const { pauses, openLedger, onPropagated, onError } = dependencies;

  async function give({ subjectId, snapshot }: WaitingLedger): Promise<string | undefined> {
    try {
      return (await openLedger(subjectId).applyPauses(snapshot)) ? subjectId : undefined;
    } catch (error) {
      onError(error);
      return undefined;
    }
  }

  return {
    async propagate() {
      if (!(await pauses.hasPending())) return;
      let after = "";
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const waiting = await pauses.listWaiting(after, ROUND_SIZE);
        const last = waiting.at(-1);
        if (last === undefined) break;
        const given = await Promise.all(waiting.map(give));
        await pauses.markGiven(
          given.filter((subjectId) => subjectId !== undefined),
          last.snapshot.version,
        );
        after = last.subjectId;
      }
      for (const change of await pauses.markPropagated()) onPropagated(change);
    },
  };
}
