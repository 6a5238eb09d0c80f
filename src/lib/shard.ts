// Spreads keys over a fixed number of Durable Objects.

/** Computes the number of a text's shard, from 0 to `shardCount - 1`: FNV-1a over its UTF-16 units. */
export function computeShardNumber(text: string, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % shardCount;
}
