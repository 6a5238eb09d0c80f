// The proof of the audit log in the composition root: answers requests for the heads of ledgers and makes the signed daily list.
import { openAuditHeadStore } from "../audit/audit-head-store.ts";
import { openSigningKey } from "../audit/head-signature.ts";
import { answerHeadRequests, makeDailyList } from "../audit/ledger-heads.ts";
import type { HeadDependencies } from "../audit/ledger-heads.ts";
import { logError, logWarning, openLedgers } from "./bindings.ts";

/** What the upkeep and the command line ask of the Worker. */
export interface AuditProof {
  /** Answers the requests of the command line. */
  answerRequests(): Promise<void>;
  /** Answers requests, and makes the list of the day before. */
  runUpkeep(): Promise<void>;
}

/**
 * Opens the proof of an environment. Without GATEHOUSE_AUDIT_KEY nothing is signed, and the upkeep logs a warning.
 */
export function openAuditProof(env: Env): AuditProof {
  const store = openAuditHeadStore(env.GATEHOUSE_DB);
  const readHead: HeadDependencies["readHead"] = async (ledger) => openLedgers(env)(ledger).readSentHead();
  const sendAgain: HeadDependencies["sendAgain"] = async (ledger, seq) => openLedgers(env)(ledger).sendAgain(seq);
  const withKey = async (work: (dependencies: HeadDependencies) => Promise<void>): Promise<boolean> => {
    const key = await openSigningKey(Reflect.get(env, "GATEHOUSE_AUDIT_KEY"));
    if (key !== null)
      await work({
        store,
        key,
        readHead,
        sendAgain,
        now: Date.now,
        onError: (error) => logError("audit heads", error),
      });
    return key !== null;
  };
  return {
    async answerRequests() {
      await withKey(answerHeadRequests);
    },
    async runUpkeep() {
      const hasKey = await withKey(async (dependencies) => {
        await answerHeadRequests(dependencies);
        await makeDailyList(dependencies);
      });
      if (!hasKey)
        logWarning(
          "audit_unsigned: GATEHOUSE_AUDIT_KEY is not set, so no daily list is signed and no old record is removed. " +
            "npm run deploy creates it once.",
        );
    },
  };
}
