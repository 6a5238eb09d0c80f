// The text of an access token for programs, and what is kept of it. Recognisable, so that scanners for leaked secrets find it.
import { sha256Hex } from "./crypto.ts";

const PREFIX = "gth_";
/** 256 random bits as 64 hex digits. */
const FORM = /^gth_[0-9a-f]{64}$/;

/** A new token, unguessable. */
export function newAccessToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return `${PREFIX}${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Whether a text has the form of one. */
export function isAccessToken(text: string): boolean {
  return FORM.test(text);
}

/** What is kept in its place. With this many random bits a plain hash cannot be turned back. */
export async function hashAccessToken(token: string): Promise<string> {
  return sha256Hex(token);
}

/** The subject id of a token: made as those of people are, of an issuer that no identity provider can be. */
export async function tokenSubjectId(id: string): Promise<string> {
  return (await sha256Hex(JSON.stringify(["urn:gatehouse:access-token", id]))).slice(0, 40);
}
