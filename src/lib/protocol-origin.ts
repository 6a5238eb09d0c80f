// Through which protocol era and session a call came, on its way from the protocol layer to its audit record. It travels in the caller
// object, where no client can set it.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/** How a call came in. */
export interface ProtocolOrigin {
  readonly era: "2025" | "2026";
  /** Names the session in records; null in the era without sessions. */
  readonly session: string | null;
}

interface CallerInfo {
  readonly extra?: Record<string, unknown>;
}

const KEY = "protocolOrigin";

/** The origin of a request of the 2026 era. */
export const SESSIONLESS: ProtocolOrigin = { era: "2026", session: null };

/** Builds the origin of the requests of a session: a digest names it, because records should not hold what clients authenticate with. */
export function buildSessionOrigin(sessionId: string): ProtocolOrigin {
  return { era: "2025", session: bytesToHex(sha256(utf8ToBytes(sessionId))).slice(0, 16) };
}

/** Returns the caller with the origin of its request. */
export function withProtocolOrigin<Info extends CallerInfo>(info: Info, origin: ProtocolOrigin): Info {
  return { ...info, extra: { ...info.extra, [KEY]: origin } };
}

/** Finds the origin; undefined where there is none. */
export function getProtocolOrigin({ extra }: CallerInfo): ProtocolOrigin | undefined {
  const origin = extra?.[KEY];
  return typeof origin === "object" && origin !== null && "era" in origin ? (origin as ProtocolOrigin) : undefined;
}
