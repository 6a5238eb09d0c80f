// The copy of a member that one person's ledger holds, for them and their access tokens: read from the members table when the ledger is new or the email is another,
// told anew by whoever changes it, and compared now and then behind an answer, so that no change that was not told stays unknown.
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";
import type { Attributes, MemberRecord } from "../policy/model.ts";
import type { KnownSubject, MemberVersion } from "../storage/members.ts";
import type { MemberCopy, ToldMember } from "./member-roles.ts";

/** The members table as a ledger asks it. */
export interface MemberDirectory {
  /** Notes that the subject has been here and returns the member of their email as it is now. */
  know(subject: KnownSubject): Promise<MemberVersion>;
  /** The member of this email as it is now. */
  read(email: string): Promise<MemberVersion>;
}

/** How old a copy gets before it is compared: the longest that a change can go unnoticed that nobody told of. */
const COMPARE_AFTER_MS = 60_000;
/** How old the table's note of when the subject was seen gets. */
const SEEN_AFTER_MS = 6 * 3_600_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS member (id INTEGER PRIMARY KEY CHECK (id = 1), email TEXT NOT NULL, version INTEGER NOT NULL, roles TEXT NOT NULL, attributes TEXT NOT NULL, groups TEXT NOT NULL, compared_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);
`;

interface CopyRow extends Record<string, SqlStorageValue> {
  readonly email: string;
  readonly version: number;
  readonly roles: string;
  readonly attributes: string;
  readonly groups: string;
  readonly compared_ms: number;
  readonly seen_ms: number;
}

interface Held extends ToldMember {
  /** As JSON. */
  readonly groups: string;
  readonly comparedMs: number;
  readonly seenMs: number;
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const rolesSchema = z.array(z.string());
const attributesSchema: z.ZodType<Attributes> = z.record(z.string(), z.union([scalar, z.array(scalar)]));

export function createMemberCopy(sql: SqlStorage, directory: MemberDirectory, now: () => number): MemberCopy {
  sql.exec(SCHEMA);
  /** Undefined until it was read, null when there is none. */
  let held: Held | null | undefined;
  const load = (): Held | null => (held ??= read(sql) ?? null);

  function keep(next: Held): void {
    sql.exec(
      "INSERT OR REPLACE INTO member (id, email, version, roles, attributes, groups, compared_ms, seen_ms) VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
      next.email,
      next.version,
      JSON.stringify(next.roles),
      JSON.stringify(next.attributes),
      next.groups,
      next.comparedMs,
      next.seenMs,
    );
    held = next;
  }

  /** What was told while the table was asked: its answer may be older. */
  const toldMeanwhile = new Map<string, ToldMember>();
  let asking = 0;
  /** Not kept: after a restart a token's next call compares once more. */
  let comparedForTokenMs = 0;

  async function askTable(identity: Identity, email: string, nowMs: number): Promise<MemberVersion> {
    const { subjectId, groups, token } = identity;
    const before = load();
    // The table's note of when a person was seen, and with which groups, is what their tokens live by: no token renews it.
    if (token !== undefined) return reading(directory.read(email));
    const isNoted = before?.email === email && before.groups === JSON.stringify(groups);
    if (isNoted && nowMs - before.seenMs < SEEN_AFTER_MS) return reading(directory.read(email));
    return reading(directory.know({ subjectId, email, groups, seenMs: nowMs }));
  }

  async function reading(answer: Promise<MemberVersion>): Promise<MemberVersion> {
    asking += 1;
    try {
      return await answer;
    } finally {
      asking -= 1;
    }
  }

  /** Whether roles, attributes or groups are others than before. */
  async function ask(identity: Identity): Promise<boolean> {
    const [email, nowMs] = [spellingOf(identity), now()];
    const answer = await askTable(identity, email, nowMs);
    const before = load();
    const candidates = [answer, toldMeanwhile.get(email), before?.email === email ? before : undefined];
    if (asking === 0) toldMeanwhile.clear();
    const { version, roles, attributes } = candidates
      .filter((one) => one !== undefined)
      .reduce((newest, one) => (one.version > newest.version ? one : newest));
    const noted = identity.token === undefined ? noteOfPerson(identity, email, nowMs) : noteForToken(email, nowMs);
    const { groups } = noted;
    keep({ email, version, roles, attributes, ...noted });
    return before !== null && (!isSame(before, { roles, attributes }) || before.groups !== groups);
  }

  type Noted = Pick<Held, "groups" | "comparedMs" | "seenMs">;

  function noteOfPerson({ groups: told }: Identity, email: string, nowMs: number): Noted {
    const [before, groups] = [load(), JSON.stringify(told)];
    const isNoted = before?.email === email && before.groups === groups && nowMs - before.seenMs < SEEN_AFTER_MS;
    return { groups, comparedMs: nowMs, seenMs: isNoted ? before.seenMs : nowMs };
  }

  /** As it was: where nothing was noted of the person, their next call does. */
  function noteForToken(email: string, nowMs: number): Noted {
    comparedForTokenMs = nowMs;
    const before = load();
    if (before === null) return { groups: "[]", comparedMs: 0, seenMs: 0 };
    const { groups, comparedMs, seenMs } = before;
    return before.email === email ? { groups, comparedMs, seenMs } : { groups, comparedMs: 0, seenMs: 0 };
  }

  return {
    async ensure(identity) {
      if (load()?.email !== spellingOf(identity)) await ask(identity);
    },
    current(identity) {
      const copy = load();
      if (copy === null) throw new TypeError("the member was not asked for");
      // While a call waits for its turn, one with another address of the same subject may replace the copy: its roles are not this one's.
      if (identity !== undefined && copy.email !== spellingOf(identity)) return { roles: [], attributes: {} };
      return { roles: copy.roles, attributes: copy.attributes };
    },
    isDue(caller = "person") {
      const comparedMs = load()?.comparedMs ?? 0;
      return now() - (caller === "token" ? Math.max(comparedMs, comparedForTokenMs) : comparedMs) >= COMPARE_AFTER_MS;
    },
    compare: ask,
    take(told) {
      const { email, version, roles, attributes } = told;
      if (asking > 0 && version > (toldMeanwhile.get(email)?.version ?? 0)) toldMeanwhile.set(email, told);
      const copy = load();
      // Nobody of this email is here (any more), or newer was told already.
      if (copy === null || copy.email !== email || version <= copy.version) return false;
      keep({ ...copy, version, roles, attributes, comparedMs: now() });
      return !isSame(copy, { roles, attributes });
    },
  };
}

/** An identity comes over RPC, from whichever version of the Worker runs. What is no address is in no member's spelling. */
function spellingOf({ email }: Identity): string {
  return parseEmailAddress(email) ?? email;
}

function isSame(one: MemberRecord, other: MemberRecord): boolean {
  return JSON.stringify([one.roles, one.attributes]) === JSON.stringify([other.roles, other.attributes]);
}

function read(sql: SqlStorage): Held | undefined {
  const [row] = sql.exec<CopyRow>("SELECT * FROM member").toArray();
  if (row === undefined) return undefined;
  return {
    email: row.email,
    roles: rolesSchema.parse(JSON.parse(row.roles)),
    attributes: attributesSchema.parse(JSON.parse(row.attributes)),
    version: row.version,
    groups: row.groups,
    comparedMs: row.compared_ms,
    seenMs: row.seen_ms,
  };
}
