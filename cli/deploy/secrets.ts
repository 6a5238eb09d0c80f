// Generates a deployment's secrets once, and keeps them in a file on this machine only until the Worker has them, so that an
// interrupted run neither loses nor changes a secret. Cloudflare never returns a secret's value.
import { randomBytes, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import * as z from "zod";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { listMaskingTokenColumns } from "../../src/masking-tokens/masking-token-columns.ts";
import { CliError } from "../kit/cli-error.ts";
import { root } from "../project/tools.ts";

/** Secret values by name. */
export type Secrets = Readonly<Record<string, string>>;

export const SETUP_CODE = "GATEHOUSE_SETUP_CODE";
export const TOKEN_KEY = "GATEHOUSE_TOKEN_KEY";
const AUDIT_KEY = "GATEHOUSE_AUDIT_KEY";

/** Letters and digits without those that look alike, because people copy the code by hand. */
const CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_GROUPS = 5;
const GROUP_LENGTH = 5;

/** Secrets that the Worker needs and that the operator does not choose. */
const GENERATED: readonly {
  readonly name: string;
  readonly isNeeded: (config: Gatehouse) => boolean;
  readonly generate: () => string;
}[] = [
  { name: SETUP_CODE, isNeeded: () => true, generate: newCode },
  { name: AUDIT_KEY, isNeeded: () => true, generate: newKey },
  {
    name: TOKEN_KEY,
    isNeeded: ({ policy }) => policy.sources.some(({ name }) => listMaskingTokenColumns(policy, name).length > 0),
    generate: newKey,
  },
];

/** 256 random bits. */
function newKey(): string {
  return randomBytes(32).toString("hex");
}

/** 125 random bits. */
function newCode(): string {
  const group = (): string =>
    Array.from({ length: GROUP_LENGTH }, () => CODE_ALPHABET[randomInt(CODE_ALPHABET.length)]).join("");
  return Array.from({ length: CODE_GROUPS }, group).join("-");
}

/** Lists the generated secrets that the Worker needs and does not have. `known` are the names it has or is about to get. */
export function missingSecrets(config: Gatehouse, known: readonly string[]): readonly string[] {
  return GENERATED.filter(({ name, isNeeded }) => isNeeded(config) && !known.includes(name)).map(({ name }) => name);
}

/** Generates a secret's value. Throws `TypeError` for a name that is not in the list above. */
export function generateSecret(name: string): string {
  const secret = GENERATED.find((candidate) => candidate.name === name);
  if (secret === undefined) throw new TypeError(`${name} is not generated`);
  return secret.generate();
}

/** The path of the file with a Worker's pending secrets. */
export function secretsFile(account: string, worker: string): string {
  return path.join(root, ".wrangler", "gatehouse", account, `${worker}.secrets.json`);
}

/** Reads the secrets that an interrupted run left behind. Throws `CliError` when the file is damaged. */
export function readPending(file: string): Secrets {
  if (!existsSync(file)) return {};
  const parsed = z.record(z.string(), z.string()).safeParse(parseJson(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new CliError(
    `${path.relative(root, file)} cannot be read. It held secrets that were about to be uploaded. ` +
      `Delete the file, and the next deployment generates the secrets that the Worker lacks.`,
  );
}

/** Writes the pending secrets atomically before anything is uploaded; only this user can read the file. */
export function keepPending(file: string, secrets: Secrets): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, JSON.stringify(secrets), { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

/** Deletes a file of pending secrets, if there is one. */
export function dropPending(file: string): void {
  rmSync(file, { force: true });
}

/** Reads the operator's secrets from a file of `NAME=value` lines or JSON. Throws `CliError` when it has none. */
export function readGiven(file: string): Secrets {
  if (!existsSync(file)) throw new CliError(`There is no file ${file} with secrets to read.`);
  const text = readFileSync(file, "utf8");
  const parsed = z.record(z.string(), z.string()).safeParse(parseJson(text) ?? parseEnv(text));
  if (!parsed.success || Object.keys(parsed.data).length === 0)
    throw new CliError(`${file} has no secrets. It takes lines such as NAME=value, or a JSON object of strings.`);
  const empty = Object.keys(parsed.data).filter((name) => parsed.data[name] === "");
  if (empty.length > 0) throw new CliError(`${file}: ${empty.join(", ")} ${empty.length === 1 ? "is" : "are"} empty.`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller tries another format or refuses it.
    return undefined;
  }
}
