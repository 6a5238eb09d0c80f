// Room for a new session at a subject's limit. Clients that never end a session (n8n, Bedrock agents) would lock their user out, so
// the session that has been idle longest ends, of the same connection if there is one. One that is in use never does.
import { PROBE_MS } from "../lib/departures.ts";
import type { IdleReply } from "./protocol.ts";
import type { HeldSession, HubStore } from "./store.ts";

export interface AdmissionDependencies {
  readonly store: Pick<HubStore, "heldSessions" | "countSessions" | "reportUse" | "removeSession">;
  readonly maxSessions: number;
  /** Asks a session to end, unless it is protected or was used after `notAfterMs`. */
  readonly endIfIdle: (sessionId: string, notAfterMs: number) => Promise<IdleReply>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A session that could not be asked: it keeps its place. */
  readonly onError: (error: unknown) => void;
}

export interface Admission {
  /**
   * Calls `enter` in the same step in which a place is free, so that sessions that open at once never share one. Otherwise tells
   * in how many milliseconds a place may be free.
   */
  enter(grantId: string, enter: () => void): Promise<{ readonly retryMs: number } | undefined>;
}

/** When a session is asked again that could not be reached. */
const UNREACHABLE_MS = 5000;

export function createAdmission(dependencies: AdmissionDependencies): Admission {
  const { store, maxSessions, endIfIdle, now, onError } = dependencies;
  /** Sessions that are being asked: others who need room wait for the same answer. */
  const asking = new Map<string, Promise<IdleReply>>();

  async function ask(id: string, notAfterMs: number): Promise<IdleReply> {
    try {
      const reply = await endIfIdle(id, notAfterMs);
      if (reply.kind === "ended") store.removeSession(id);
      if (reply.kind === "used") store.reportUse(id, reply.usedMs);
      return reply;
    } catch (error) {
      onError(error);
      return { kind: "protected", retryMs: UNREACHABLE_MS };
    } finally {
      asking.delete(id);
    }
  }

  /** Asks sessions until one ended or all are protected. */
  async function round(grantId: string, enter: () => void): Promise<{ readonly retryMs: number } | undefined> {
    const held = new Map<string, number>();
    while (store.countSessions() >= maxSessions) {
      const [candidate, next] = inOrder(store.heldSessions(), grantId).filter(({ id }) => !held.has(id));
      if (candidate === undefined) return { retryMs: Math.min(...held.values()) };
      // Idle longest, as long as it was not used after the next one was: what the hub knows of a use is never too late.
      const isSameTier = (next?.grantId === grantId) === (candidate.grantId === grantId);
      const notAfterMs = Math.max(candidate.usedMs, next !== undefined && isSameTier ? next.usedMs : now());
      const answer = asking.get(candidate.id) ?? ask(candidate.id, notAfterMs);
      if (!asking.has(candidate.id)) asking.set(candidate.id, answer);
      const reply = await answer;
      if (reply.kind === "protected") held.set(candidate.id, reply.retryMs);
    }
    enter();
    return undefined;
  }

  return {
    async enter(grantId, enter) {
      const first = await round(grantId, enter);
      if (first === undefined) return undefined;
      // The first round wrote to every stream: by now those are closed whose clients had left.
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
      return round(grantId, enter);
    },
  };
}

/** The sessions of the same connection first, and among them the one that has been idle longest. */
function inOrder(sessions: readonly HeldSession[], grantId: string): readonly HeldSession[] {
  const { same = [], other = [] } = Object.groupBy(sessions, (held) => (held.grantId === grantId ? "same" : "other"));
  return [...same, ...other];
}
