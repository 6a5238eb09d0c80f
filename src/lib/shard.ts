// How keys are spread over a fixed number of objects.

/** The number of the shard that a text belongs to, from 0 to `shards` - 1: FNV-1a over its UTF-16 units. */
export function shardNumber(text: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % shards;
}
