// Collects the writes of one request on one grant, so that the shard commits all of them or none. The OAuth provider reads,
// awaits and writes key by key; without this, a crash or a concurrent request in between would leave partial writes.
import type { GetOptions, GrantStore, KeyPage, ListOptions, PutOptions } from "./kv-contract.ts";
import { parseEntry, parseListLimit, toKeyPage, decodeValue, requireValidKey } from "./kv-contract.ts";
import { nameShard, nameShardOfPrefix } from "./grant-protocol.ts";
import type { NewEntry } from "./grant-protocol.ts";
import type { Shard } from "./grant-shard.ts";

interface UnitOfWorkOptions {
  readonly shard: Pick<Shard, "get" | "list">;
  readonly shardName: string;
  /** The key of the grant that the request works on. */
  readonly grantKey: string;
  /** The store of all other shards, to which writes go at once. */
  readonly otherShards: GrantStore;
  /** Changes the stored grant into the one that the provider sees. */
  readonly presentGrant: (value: string) => string;
  readonly now: () => number;
}

/** A store for the provider that reads from the shard and buffers the writes. The caller commits the writes or drops them. */
export class UnitOfWork implements GrantStore {
  readonly #options: UnitOfWorkOptions;
  readonly #writes = new Map<string, NewEntry | null>();
  #initialGrant: string | undefined | null = null;

  constructor(options: UnitOfWorkOptions) {
    this.#options = options;
  }

  /** The new entries. A unit that ends its grant has none. */
  get puts(): ReadonlyMap<string, NewEntry> {
    const puts = this.endsGrant() ? [] : [...this.#writes];
    return new Map(puts.filter((write): write is [string, NewEntry] => write[1] !== null));
  }

  /** The grants and access tokens that the unit deletes. A deleted grant takes its access tokens with it. */
  get endedKeys(): readonly string[] {
    if (this.endsGrant()) return [this.#options.grantKey];
    return [...this.#writes].flatMap(([key, entry]) => (entry === null ? [key] : []));
  }

  /** The grant as it was first read, undefined when it did not exist; null when it was not read. */
  get initialGrant(): string | undefined | null {
    return this.#initialGrant;
  }

  /** Whether the writes delete the grant. */
  endsGrant(): boolean {
    return this.#writes.get(this.#options.grantKey) === null;
  }

  async get(key: string, type?: GetOptions): Promise<unknown> {
    if (!this.#isInShard(key)) return this.#options.otherShards.get(key, type);
    const writtenEntry = this.#writes.get(key);
    return decodeValue((writtenEntry === undefined ? this.#readStored(key) : writtenEntry?.value) ?? null, type);
  }

  async put(key: string, value: string, options?: PutOptions): Promise<void> {
    if (!this.#isInShard(key)) return this.#options.otherShards.put(key, value, options);
    requireValidKey(key);
    this.#writes.set(key, parseEntry(value, options));
  }

  async delete(key: string): Promise<void> {
    if (!this.#isInShard(key)) return this.#options.otherShards.delete(key);
    this.#writes.set(key, null);
  }

  /** Lists stored keys without the buffered writes: the provider lists only keys that it is about to delete. */
  async list({ prefix = "", limit, cursor }: ListOptions = {}): Promise<KeyPage> {
    const { shard, shardName, otherShards, now } = this.#options;
    if (nameShardOfPrefix(prefix) !== shardName) return otherShards.list({ prefix });
    return toKeyPage(shard.list(prefix, parseListLimit(limit), cursor ?? null, now()));
  }

  #isInShard(key: string): boolean {
    return nameShard(key) === this.#options.shardName;
  }

  #readStored(key: string): string | undefined {
    const { shard, grantKey, presentGrant, now } = this.#options;
    const value = shard.get(key, now());
    if (key !== grantKey) return value;
    this.#initialGrant = this.#initialGrant === null ? value : this.#initialGrant;
    return value === undefined ? undefined : presentGrant(value);
  }
}
