// What the composition root gives to every ledger.
import type { Identity } from "../lib/identity.ts";
import type { MemberRecord } from "../policy/model.ts";
import type { RecordReceiver } from "./record-flush.ts";
import type { RecordLimits } from "./records.ts";
import type { OpenRoleCache } from "./role-cache-contract.ts";
import type { SignalOptions } from "./signals.ts";
import type { WarnOperator } from "./storage-warnings.ts";

/** The limits of one ledger. */
interface LedgerLimits extends RecordLimits {
  /** How long a query waits while another query of the same owner runs on its source. */
  readonly queueSeconds: number;
}

/** What a LedgerObject is created with. */
export interface LedgerOptions {
  readonly limits: LedgerLimits;
  /**
   * A time before the first call of the only process that serves requests, in milliseconds since the epoch. Absent in a deployment, where
   * a call may outlive its ledger's memory.
   */
  readonly soleProcessStartedMs?: number | undefined;
  readonly openRoleCache: OpenRoleCache;
  /** Where records are sent. Absent where they stay in the ledger. */
  readonly recordStore?: RecordReceiver;
  /**
   * Reads how many results a subject's workspace has numbered, once for each subject: an earlier version numbered results there. Absent
   * where no call stores results.
   */
  readonly readLastResultNumber?: (subjectId: string) => Promise<number>;
  /** Called when a comparison with the members table finds a change that was not propagated. */
  readonly onMemberChanged: (identity: Identity, record: MemberRecord) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly warn: WarnOperator;
  /** Absent where no call is served. */
  readonly signals?: SignalOptions;
}
