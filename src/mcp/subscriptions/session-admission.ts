// Makes room for a new session at a subject's limit. Clients that never end their sessions (n8n, Bedrock agents) would lock
// their user out, so the session that has been idle longest ends, preferably one of the same grant. A session in use stays.
import { PROBE_MS } from "../../lib/closing-sockets.ts";
import type { IdleReply } from "./hub-protocol.ts";
import type { HeldSession, HubStore } from "./hub-store.ts";

/** The dependencies of `createAdmission`. */
interface AdmissionDependencies {
  readonly store: Pick<HubStore, "heldSessions" | "countSessions" | "reportUse" | "removeSession">;
  readonly maxSessions: number;
  /** Asks a session to end, unless it is protected or was used after `notAfterMs`. */
  readonly endIfIdle: (sessionId: string, notAfterMs: number) => Promise<IdleReply>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Receives the error of a session that could not be reached. The session stays. */
  readonly onError: (error: unknown) => void;
}

/** No place is free; `retryMs` is the time until one may be. */
interface Full {
  readonly retryMs: number;
}

/** Admits new sessions up to the limit. */
export interface Admission {
  /**
   * Calls `admit` in the same step that finds a free place, so that two sessions that open at once never share one. If every
   * session is protected, resolves with the time until a place may be free.
   */
  enter(grantId: string, admit: () => void): Promise<Full | undefined>;
}

/** How long a session that could not be reached counts as protected. */
const UNREACHABLE_MS = 5000;

/** Creates the admission of one subject's sessions. */
export function createAdmission(dependencies: AdmissionDependencies): Admission {
  const { store, maxSessions, endIfIdle, now, onError } = dependencies;
  /** Pending questions by session. Concurrent admissions share the reply. */
  const pendingReplies = new Map<string, Promise<IdleReply>>();

  async function askToEnd(id: string, notAfterMs: number): Promise<IdleReply> {
    try {
      const reply = await endIfIdle(id, notAfterMs);
      if (reply.kind === "ended") store.removeSession(id);
      if (reply.kind === "used") store.reportUse(id, reply.usedMs);
      return reply;
    } catch (error) {
      onError(error);
      return { kind: "protected", retryMs: UNREACHABLE_MS };
    } finally {
      pendingReplies.delete(id);
    }
  }

  /** Asks sessions to end until a place is free or all are protected. */
  async function tryToEnter(grantId: string, admit: () => void): Promise<Full | undefined> {
    const protectedMs = new Map<string, number>();
    while (store.countSessions() >= maxSessions) {
      const candidates = orderCandidates(store.heldSessions(), grantId).filter(({ id }) => !protectedMs.has(id));
      const [candidate, next] = candidates;
      if (candidate === undefined) return { retryMs: Math.min(...protectedMs.values()) };
      // The hub's times may be too early but never too late. So the candidate is idle longest unless it was used after the
      // time that the hub has for the next one.
      const isSameTier = (next?.grantId === grantId) === (candidate.grantId === grantId);
      const notAfterMs = Math.max(candidate.usedMs, next !== undefined && isSameTier ? next.usedMs : now());
      const pendingReply = pendingReplies.get(candidate.id) ?? askToEnd(candidate.id, notAfterMs);
      if (!pendingReplies.has(candidate.id)) pendingReplies.set(candidate.id, pendingReply);
      const reply = await pendingReply;
      if (reply.kind === "protected") protectedMs.set(candidate.id, reply.retryMs);
    }
    admit();
    return undefined;
  }

  return {
    async enter(grantId, admit) {
      const full = await tryToEnter(grantId, admit);
      if (full === undefined) return undefined;
      // The first attempt probed every stream. Wait until the streams whose clients have left are closed.
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
      return tryToEnter(grantId, admit);
    },
  };
}

/** Puts sessions of the same grant first, and keeps the order of last use otherwise. */
function orderCandidates(sessions: readonly HeldSession[], grantId: string): readonly HeldSession[] {
  const { same = [], other = [] } = Object.groupBy(sessions, (session) =>
    session.grantId === grantId ? "same" : "other",
  );
  return [...same, ...other];
}
