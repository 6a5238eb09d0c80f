// Defines the caller of a request as the protocol runtime sees it, in both eras.
import type { AuthInfo } from "@modelcontextprotocol/server";

/** A signed-in caller. A session belongs to one subject and one grant. */
export interface SessionCaller {
  /** The user; for a personal access token, its owner. */
  readonly subjectId: string;
  /** The OAuth grant or the personal access token through which the caller signed in. */
  readonly grantId: string;
  readonly authInfo: AuthInfo;
}
