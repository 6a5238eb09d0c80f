// Who calls, as the gateway takes it: an identity and the OAuth client that acts for it.
import type { Identity } from "../lib/identity.ts";

export interface Caller {
  readonly identity: Identity;
  readonly clientId: string;
}
