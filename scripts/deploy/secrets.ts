// The secrets of a deployment: made once, kept in a file of this machine only from the moment that they are made until the
// Worker has them, so that a run which is cut off neither loses nor changes one. The platform never gives a secret back.
import { randomBytes, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import * as z from "zod";
import type { Gatehouse } from "../../src/config.ts";
import { tokenColumnsOf } from "../../src/policy/tokens.ts";
import { root } from "../build.ts";
import { DeployProblem } from "./problem.ts";

export type Secrets = Readonly<Record<string, string>>;

export const SETUP_CODE = "GATEHOUSE_SETUP_CODE";
export const TOKEN_KEY = "GATEHOUSE_TOKEN_KEY";

/** Without letters and digits that look alike, as people read it aloud. */
const CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_GROUPS = 5;
const GROUP_LENGTH = 5;

/** What the code asks for and nobody has to know beforehand. */
const GENERATED: readonly {
  readonly name: string;
  readonly isNeeded: (config: Gatehouse) => boolean;
  readonly generate: () => string;
}[] = [
  { name: SETUP_CODE, isNeeded: () => true, generate: newCode },
  {
    name: TOKEN_KEY,
    isNeeded: ({ policy }) => policy.sources.some(({ name }) => tokenColumnsOf(policy, name).length > 0),
    generate: () => randomBytes(32).toString("hex"),
  },
];

/** 125 random bits. */
function newCode(): string {
  const group = (): string =>
    Array.from({ length: GROUP_LENGTH }, () => CODE_ALPHABET[randomInt(CODE_ALPHABET.length)]).join("");
  return Array.from({ length: CODE_GROUPS }, group).join("-");
}

/** The names that the Worker lacks and that are made for it. */
export function missingSecrets(config: Gatehouse, known: readonly string[]): readonly string[] {
  return GENERATED.filter(({ name, isNeeded }) => isNeeded(config) && !known.includes(name)).map(({ name }) => name);
}

export function generateSecret(wanted: string): string {
  const found = GENERATED.find(({ name }) => name === wanted);
  if (found === undefined) throw new TypeError(`${wanted} is not generated`);
  return found.generate();
}

/** The file of secrets that are on their way to a Worker. wrangler reads it as it is. */
export function secretsFile(account: string, worker: string): string {
  return path.join(root, ".wrangler", "gatehouse", account, `${worker}.secrets.json`);
}

/** What an earlier run left on its way. */
export function readPending(file: string): Secrets {
  if (!existsSync(file)) return {};
  const parsed = z.record(z.string(), z.string()).safeParse(parseJson(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new DeployProblem(
    `${path.relative(root, file)} cannot be read. It held secrets on their way to the Worker; remove it to have those made anew that the Worker lacks.`,
  );
}

/** Written whole before anything leaves; nobody else on this machine can read it. */
export function keepPending(file: string, secrets: Secrets): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, JSON.stringify(secrets), { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

export function dropPending(file: string): void {
  rmSync(file, { force: true });
}

/** The operator's own, from a file of lines `NAME=value` or JSON. Throws `DeployProblem` when it holds no such thing. */
export function readGiven(file: string): Secrets {
  if (!existsSync(file)) throw new DeployProblem(`There is no file ${file} with secrets.`);
  const text = readFileSync(file, "utf8");
  const parsed = z.record(z.string(), z.string()).safeParse(parseJson(text) ?? parseEnv(text));
  if (!parsed.success || Object.keys(parsed.data).length === 0)
    throw new DeployProblem(`${file} holds no secrets. It takes lines such as NAME=value, or a JSON object of texts.`);
  const empty = Object.keys(parsed.data).filter((name) => parsed.data[name] === "");
  if (empty.length > 0)
    throw new DeployProblem(`${file}: ${empty.join(", ")} ${empty.length === 1 ? "is" : "are"} empty.`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller decides what it is then.
    return undefined;
  }
}
