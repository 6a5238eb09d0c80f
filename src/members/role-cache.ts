// The cached member of one user's ledger, which serves the user and their personal access tokens. It is read from the members table when
// the ledger is new or the user's email has changed. Changes are propagated to it; in case that fails, it is compared with the table
// about once a minute while it is used.
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";
import type { Attributes, MemberRecord } from "../policy/model.ts";
import type { DirectoryEntry, RegisteredSubject } from "./member-store.ts";
import type { RoleCache, PropagatedMember } from "../audit/role-cache-contract.ts";
import type { PauseSnapshot } from "../audit/pause-model.ts";
import { getOwnerId } from "../lib/identity.ts";

/** The members table as a ledger uses it. */
export interface MemberDirectory {
  /** Registers the subject and returns the current member of their email. */
  registerSubject(subject: RegisteredSubject): Promise<DirectoryEntry>;
  /** Reads the current member of an email, for the ledger of `ownerId`. */
  readForLedger(email: string, ownerId: string): Promise<DirectoryEntry>;
}

/** The age at which the copy is compared with the table, so that a change that was not propagated still acts soon. */
const STALE_AFTER_MS = 60_000;
/** How often the table's time at which the user was last seen is updated. */
const SEEN_REFRESH_MS = 6 * 3_600_000;

interface RoleCacheRow extends Record<string, SqlStorageValue> {
  readonly email: string;
  readonly version: number;
  readonly roles: string;
  readonly attributes: string;
  readonly groups: string;
  readonly compared_ms: number;
  readonly seen_ms: number;
}

interface CachedMember extends PropagatedMember {
  /** The groups as JSON. */
  readonly groups: string;
  readonly comparedMs: number;
  readonly seenMs: number;
}

const scalarSchema = z.union([z.string(), z.number(), z.boolean()]);
const rolesSchema = z.array(z.string());
const attributesSchema: z.ZodType<Attributes> = z.record(z.string(), z.union([scalarSchema, z.array(scalarSchema)]));

/** The groups of a user, and when they were compared and seen. */
type SeenState = Pick<CachedMember, "groups" | "comparedMs" | "seenMs">;

interface MemberRoleCacheOptions {
  /** The database of the ledger. */
  readonly sql: SqlStorage;
  readonly directory: MemberDirectory;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Gets the pauses of each read, in the same turn in which the member is stored. */
  readonly applyPauses: (snapshot: PauseSnapshot) => void;
}

/** Caches the member of a ledger's owner in the ledger's own database. */
export class MemberRoleCache implements RoleCache {
  readonly #options: MemberRoleCacheOptions;
  /** Undefined until it is read; null when there is none. */
  #cached: CachedMember | null | undefined;
  /** Changes that were propagated while the table was being read. The result of the read may be older. */
  readonly #propagatedDuringRead = new Map<string, PropagatedMember>();
  #pendingReads = 0;
  /** When the copy was last compared for a personal access token. Not stored: after a restart the next call compares again. */
  #comparedForPatMs = 0;

  constructor(options: MemberRoleCacheOptions) {
    this.#options = options;
  }

  async ensureLoaded(identity: Identity): Promise<void> {
    if (this.#load()?.email !== normalizeEmail(identity)) await this.refresh(identity);
  }

  getMember(identity?: Identity): MemberRecord {
    const cachedMember = this.#load();
    if (cachedMember === null) throw new TypeError("ensureLoaded must be called before getMember");
    // While a call waited for its query lock, a call of the same subject under another email may have replaced the copy.
    if (identity !== undefined && cachedMember.email !== normalizeEmail(identity)) return { roles: [], attributes: {} };
    return { roles: cachedMember.roles, attributes: cachedMember.attributes };
  }

  isStale(caller: "person" | "token" = "person"): boolean {
    const comparedMs = this.#load()?.comparedMs ?? 0;
    const latestMs = caller === "token" ? Math.max(comparedMs, this.#comparedForPatMs) : comparedMs;
    // A comparison in the future is from before the clock moved back.
    return Math.abs(this.#options.now() - latestMs) >= STALE_AFTER_MS;
  }

  /** Stores the newest member that is known after a read. Returns whether roles, attributes or groups have changed. */
  async refresh(identity: Identity): Promise<boolean> {
    const [email, nowMs] = [normalizeEmail(identity), this.#options.now()];
    const tableMember = await this.#readTable(identity, email, nowMs);
    const previous = this.#load();
    const candidates = [
      tableMember,
      this.#propagatedDuringRead.get(email),
      previous?.email === email ? previous : undefined,
    ];
    if (this.#pendingReads === 0) this.#propagatedDuringRead.clear();
    const { version, roles, attributes } = candidates
      .filter((candidate) => candidate !== undefined)
      .reduce((newest, candidate) => (candidate.version > newest.version ? candidate : newest));
    const seenState =
      identity.token === undefined
        ? this.#buildUserSeenState(identity, email, nowMs)
        : this.#buildPatSeenState(email, nowMs);
    this.#store({ email, version, roles, attributes, ...seenState });
    this.#options.applyPauses(tableMember.pauses);
    return (
      previous !== null && (!isSameMember(previous, { roles, attributes }) || previous.groups !== seenState.groups)
    );
  }

  apply(propagated: PropagatedMember): boolean {
    const { email, version, roles, attributes } = propagated;
    if (this.#pendingReads > 0 && version > (this.#propagatedDuringRead.get(email)?.version ?? 0))
      this.#propagatedDuringRead.set(email, propagated);
    const cachedMember = this.#load();
    // The copy belongs to another email, or a newer version was applied.
    if (cachedMember === null || cachedMember.email !== email || version <= cachedMember.version) return false;
    this.#store({ ...cachedMember, version, roles, attributes, comparedMs: this.#options.now() });
    return !isSameMember(cachedMember, { roles, attributes });
  }

  forget(): void {
    this.#options.sql.exec("DELETE FROM cached_member");
    this.#cached = null;
  }

  #load(): CachedMember | null {
    return (this.#cached ??= readCachedMember(this.#options.sql) ?? null);
  }

  #store(next: CachedMember): void {
    this.#options.sql.exec(
      `INSERT OR REPLACE INTO cached_member (id, email, version, roles, attributes, groups, compared_ms, seen_ms)
        VALUES (1, ?, ?, ?, ?, ?, ?, ?)`,
      next.email,
      next.version,
      JSON.stringify(next.roles),
      JSON.stringify(next.attributes),
      next.groups,
      next.comparedMs,
      next.seenMs,
    );
    this.#cached = next;
  }

  async #readTable(identity: Identity, email: string, nowMs: number): Promise<DirectoryEntry> {
    const { subjectId, groups, token } = identity;
    const { directory } = this.#options;
    const read = async (): Promise<DirectoryEntry> =>
      this.#trackRead(directory.readForLedger(email, getOwnerId(identity)));
    const previous = this.#load();
    // Personal access tokens depend on when their owner was last seen, and with which groups, so a token must not update either.
    if (token !== undefined) return read();
    const isRecorded = previous?.email === email && previous.groups === JSON.stringify(groups);
    if (isRecorded && nowMs - previous.seenMs < SEEN_REFRESH_MS) return read();
    return this.#trackRead(directory.registerSubject({ subjectId, email, groups, seenMs: nowMs }));
  }

  /** Counts a read of the table while it is pending. */
  async #trackRead(read: Promise<DirectoryEntry>): Promise<DirectoryEntry> {
    this.#pendingReads += 1;
    try {
      return await read;
    } finally {
      this.#pendingReads -= 1;
    }
  }

  #buildUserSeenState({ groups: identityGroups }: Identity, email: string, nowMs: number): SeenState {
    const [previous, groups] = [this.#load(), JSON.stringify(identityGroups)];
    const isRecorded =
      previous?.email === email && previous.groups === groups && nowMs - previous.seenMs < SEEN_REFRESH_MS;
    return { groups, comparedMs: nowMs, seenMs: isRecorded ? previous.seenMs : nowMs };
  }

  /** Keeps the state of the owner. If there is none, the owner's next call stores it. */
  #buildPatSeenState(email: string, nowMs: number): SeenState {
    this.#comparedForPatMs = nowMs;
    const previous = this.#load();
    if (previous === null) return { groups: "[]", comparedMs: 0, seenMs: 0 };
    const { groups, comparedMs, seenMs } = previous;
    return previous.email === email ? { groups, comparedMs, seenMs } : { groups, comparedMs: 0, seenMs: 0 };
  }
}

/** Normalizes an email that came over RPC, perhaps from another version of the Worker. Text that is not an address matches no member. */
function normalizeEmail({ email }: Identity): string {
  return parseEmailAddress(email) ?? email;
}

function isSameMember(left: MemberRecord, right: MemberRecord): boolean {
  return JSON.stringify([left.roles, left.attributes]) === JSON.stringify([right.roles, right.attributes]);
}

function readCachedMember(sql: SqlStorage): CachedMember | undefined {
  const [row] = sql.exec<RoleCacheRow>("SELECT * FROM cached_member").toArray();
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
