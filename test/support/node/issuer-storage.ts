// Storage of the test's OpenID Connect issuer, which must survive the issuer's key rotation.
import type { Adapter, AdapterPayload } from "oidc-provider";

/** Creates a storage for `Configuration.adapter`. It ignores expiry. */
export function createIssuerStorage(): (name: string) => Adapter {
  const records = new Map<string, AdapterPayload>();
  const findWhere = async (name: string, field: "uid" | "userCode", value: string) =>
    [...records].find(([key, record]) => key.startsWith(`${name} `) && record[field] === value)?.[1];
  return (name) => {
    const keyOf = (id: string): string => `${name} ${id}`;
    return {
      upsert: async (id, payload) => void records.set(keyOf(id), payload),
      find: async (id) => records.get(keyOf(id)),
      findByUid: async (uid) => findWhere(name, "uid", uid),
      findByUserCode: async (userCode) => findWhere(name, "userCode", userCode),
      consume: async (id) => {
        const record = records.get(keyOf(id));
        if (record !== undefined) records.set(keyOf(id), { ...record, consumed: Math.floor(Date.now() / 1000) });
      },
      destroy: async (id) => void records.delete(keyOf(id)),
      revokeByGrantId: async (grantId) => {
        for (const [key, record] of records) if (record.grantId === grantId) records.delete(key);
      },
    };
  };
}
