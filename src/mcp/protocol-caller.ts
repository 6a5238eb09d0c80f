// The caller of a request as the protocol runtime knows it, in both eras.
import type { AuthInfo } from "@modelcontextprotocol/server";

export interface SessionCaller {
  /** The person; of an access token, its owner. */
  readonly subjectId: string;
  /** The sign-in this caller came by; a session belongs to one subject and one grant. */
  readonly grantId: string;
  readonly authInfo: AuthInfo;
}
