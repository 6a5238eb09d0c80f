// The keys of returned rows in an audit record: how a key is written there, by which terms a record is found, and how many keys fit.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { byteLength } from "../lib/bytes.ts";

/** The rows of a dataset that an answer shows. */
export interface ShownKeys {
  /** Their keys, each as in the id of its row. */
  readonly values: readonly string[];
  /** Whether every row of the dataset that the answer comes from is among them. Otherwise it may show any row. */
  readonly complete: boolean;
}

/** The shown rows by dataset. */
export type RecordedKeys = Readonly<Record<string, ShownKeys>>;

/** The maximum of all keys in a record, as JSON. */
export const MAX_KEYS_BYTES = 8192;
/** The maximum of a key as JSON; a longer one is stored as its beginning and its hash. */
const MAX_KEY_BYTES = 200;
const SHOWN_CHARACTERS = 60;
/** Stands for the datasets that did not fit. */
const OTHER_DATASETS = "…";

const countJsonBytes = (value: unknown): number => byteLength(JSON.stringify(value));

/**
 * Writes a key as records store it. A long key, or one that SQLite would not return unchanged, is its beginning with the hash of the whole.
 */
export function formatRecordedKey(key: string): string {
  if (countJsonBytes(key) <= MAX_KEY_BYTES && !key.includes("\0") && key.isWellFormed()) return key;
  const head = key.slice(0, SHOWN_CHARACTERS).replaceAll("\0", "\ufffd").toWellFormed();
  return `${head}… [SHA-256 ${bytesToHex(sha256(utf8ToBytes(key)))}]`;
}

/** Takes at most `maxKeys` keys of each dataset, and writes them as records store them. */
export function limitKeys(keys: RecordedKeys, maxKeys: number): RecordedKeys {
  return mapKeys(keys, ({ values, complete }) => ({
    values: values.slice(0, maxKeys).map(formatRecordedKey),
    complete: complete && values.length <= maxKeys,
  }));
}

/** Bounds keys to `MAX_KEYS_BYTES`: each dataset has the same room, and loses the keys that do not fit. */
export function boundKeys(keys: RecordedKeys): RecordedKeys {
  if (countJsonBytes(keys) <= MAX_KEYS_BYTES) return keys;
  const none: ShownKeys = { values: [], complete: false };
  const entries = Object.entries(keys);
  const named = takeFitting(entries, MAX_KEYS_BYTES / 2, ([dataset]) => countJsonBytes({ [dataset]: none }));
  const others = named.length === entries.length ? {} : { [OTHER_DATASETS]: none };
  const emptyBytes = countJsonBytes({ ...Object.fromEntries(named.map(([dataset]) => [dataset, none])), ...others });
  const roomBytes = Math.floor((MAX_KEYS_BYTES - emptyBytes) / named.length);
  const bounded = Object.fromEntries(
    named.map(([dataset, { values, complete }]): [string, ShownKeys] => {
      const fitting = takeFitting(values, roomBytes, (value) => countJsonBytes(value) + 1);
      return [dataset, { values: fitting, complete: complete && fitting.length === values.length }];
    }),
  );
  return { ...bounded, ...others };
}

/** Lists by what the keys of a record are found, without the kind of the term: each key, and each dataset of which it may show any row. */
export function listKeyTerms(keys: RecordedKeys): readonly string[] {
  return Object.entries(keys).flatMap(([dataset, { values, complete }]) => [
    ...values.map((value) => formatKeyTerm(dataset, value)),
    ...(complete ? [] : [formatAnyKeyTerm(dataset)]),
  ]);
}

/** Lists the terms of which a record has one if it shows the row with this key, or may show it. */
export function listTermsOfKey(dataset: string, key: string): readonly string[] {
  return [formatKeyTerm(dataset, formatRecordedKey(key)), formatAnyKeyTerm(dataset), formatAnyKeyTerm(OTHER_DATASETS)];
}

const formatKeyTerm = (dataset: string, recordedKey: string): string => `${dataset}/${recordedKey}`;
const formatAnyKeyTerm = (dataset: string): string => `${dataset} ?`;

function mapKeys(keys: RecordedKeys, change: (shown: ShownKeys) => ShownKeys): RecordedKeys {
  return Object.fromEntries(Object.entries(keys).map(([dataset, shown]) => [dataset, change(shown)]));
}

/** Takes items from the start while their sizes fit. */
function takeFitting<Item>(items: readonly Item[], maxBytes: number, sizeOf: (item: Item) => number): readonly Item[] {
  let bytes = 0;
  const end = items.findIndex((item) => (bytes += sizeOf(item)) > maxBytes);
  return end === -1 ? items : items.slice(0, end);
}
