// The questions that tools ask a user between two rounds: signed with a key of the deployment, and stored in the user's ledger.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { HandleLedger } from "../audit/single-use-handles.ts";
import { createInputRequiredTools } from "../mcp/elicitation/input-required.ts";
import type { HandleStore, InputRequiredTools } from "../mcp/elicitation/input-required.ts";
import type { ReplayGuard } from "../mcp/wire/replay-guard.ts";
import { getCaller } from "./kit/caller.ts";

/** What questions need. */
interface QuestionDependencies {
  /** A secret of the deployment, from which a key of their own is derived. */
  readonly secret: string;
  readonly openLedger: (subjectId: string) => HandleLedger;
  readonly replayGuard: ReplayGuard;
  readonly newId: () => string;
}

/** How long a user may take to answer a question. After that, the change still waits on its page. */
const ANSWER_SECONDS = 3600;

/** Creates the questions. */
export function createUserQuestions({
  secret,
  openLedger,
  replayGuard,
  newId,
}: QuestionDependencies): InputRequiredTools {
  return createInputRequiredTools({
    key: bytesToHex(hmac(sha256, utf8ToBytes(secret), utf8ToBytes("gatehouse requestState"))),
    ttlSeconds: ANSWER_SECONDS,
    handles: openHandleStore(openLedger),
    replayGuard,
    getSubjectId: (context) => getCaller(context).identity.subjectId,
    newId,
  });
}

/** Opens the handles in the ledgers of their subjects. */
export function openHandleStore(openLedger: (subjectId: string) => HandleLedger): HandleStore {
  return {
    open: async (subjectId, handle) => openLedger(subjectId).openHandle(handle),
    find: async (subjectId, call) => openLedger(subjectId).findHandle(call),
    spend: async (subjectId, handle, binding) => openLedger(subjectId).spendHandle(handle, binding),
    recordOutcome: async (subjectId, handle, outcome, next) =>
      openLedger(subjectId).recordHandleOutcome(handle, outcome, next),
  };
}
