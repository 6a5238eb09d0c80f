// What a signed-in person does about their access tokens for programs on our own pages. Each is one recorded operation; a program
// that shows an access token gets none of them.
import type { Organisation } from "../config.ts";
import { AppError } from "../errors.ts";
import { hashAccessToken, newAccessToken } from "../lib/access-token.ts";
import type { Identity } from "../lib/identity.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { describeCap } from "../storage/access-token-statements.ts";
import type { AccessTokens, ListedAccessToken } from "../storage/access-tokens.ts";
import { recordedInBrowser } from "./browser-operation.ts";
import { Denied } from "./recorded.ts";
import type { Call, Recorder } from "./recorded.ts";
import type { RoleChanges } from "./role-changes.ts";

export interface WantedToken {
  /** What its owner calls it. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly days: number;
}

export interface MadeToken extends Pick<ListedAccessToken, "id" | "name" | "roles" | "expiresMs"> {
  /** Its text. It is shown this once, and is nowhere afterwards. */
  readonly token: string;
}

export interface Own {
  tokens(person: Identity): Promise<readonly ListedAccessToken[]>;
  /** Errors: `invalid_input` for a role that the person does not have, or too long a life; `limit_reached`. */
  makeToken(person: Identity, wanted: WantedToken): Promise<MadeToken>;
  /** Errors: `not_found`. */
  revokeToken(person: Identity, id: string): Promise<void>;
}

export interface OwnDependencies {
  readonly record: Recorder;
  readonly organisation: Organisation;
  readonly tokens: AccessTokens;
  readonly changes: Pick<RoleChanges, "tell">;
  readonly limits: {
    readonly maxProgramTokens: number;
    readonly maxNewPatsPerDay: number;
    readonly programTokenSeconds: number;
  };
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Tokens that were made before names were checked may have any. */
function withVisibleName(token: ListedAccessToken): ListedAccessToken {
  return { ...token, name: escapeInvisible(token.name) };
}

const DAY_MS = 86_400_000;

export function createOwn({ record, organisation, tokens, changes, limits, newId, now }: OwnDependencies): Own {
  const maxDays = Math.floor(limits.programTokenSeconds / 86_400);
  const make = async ({ subject }: Call, { name, roles, days }: WantedToken): Promise<MadeToken> => {
    const lacking = roles.filter((role) => !subject.roles.includes(role));
    if (lacking.length > 0) {
      const held = subject.roles.length === 0 ? "You have none." : `You have: ${subject.roles.join(", ")}.`;
      const message = `A token can have roles that you have, and you do not have ${lacking.join(", ")}. ${held} ${organisation.contact} gives roles.`;
      throw new Denied(
        new AppError("invalid_input", message),
        lacking.map((role) => `${role}: no_role`),
        [],
      );
    }
    if (days > maxDays) throw new AppError("invalid_input", `A token lives for ${maxDays} days at most.`);
    const nowMs = now();
    const [id, token] = [newId(), newAccessToken()];
    const expiresMs = nowMs + days * DAY_MS;
    const kept = { id, hash: await hashAccessToken(token), ownerId: subject.subjectId, name, roles, by: subject.email };
    const caps = { maxHeld: limits.maxProgramTokens, maxPerDay: limits.maxNewPatsPerDay };
    const added = await tokens.add({ ...kept, nowMs, expiresMs }, caps);
    if (!added.ok) throw new AppError("limit_reached", describeCap(added.madeToday, caps, nowMs));
    return { id, name, roles, expiresMs, token };
  };
  return {
    tokens: (person) =>
      recordedInBrowser(
        record,
        person,
        "list access tokens",
        "",
        async ({ subject }) => (await tokens.list(subject.subjectId)).map(withVisibleName),
        "listing",
      ),
    makeToken: (person, wanted) => {
      const asked = JSON.stringify(wanted);
      return recordedInBrowser(record, person, "make access token", asked, async (call) => make(call, wanted));
    },
    revokeToken: (person, id) => {
      const revoke = async ({ subject: { subjectId, email } }: Call): Promise<void> => {
        if (!(await tokens.revoke(id, subjectId, email, now())))
          throw new AppError("not_found", "You have no token of this id that can still be used.");
        await changes.tell();
      };
      return recordedInBrowser(record, person, "revoke access token", id, revoke, "revocation");
    },
  };
}
