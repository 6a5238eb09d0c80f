// Pauses users, personal access tokens, clients and sources for an operator. A command stores the change; the deployment gives it to the
// ledgers, and the command says how many have it.
import { readReason } from "../kit/reason-argument.ts";
import { countOf } from "../../src/lib/count-of.ts";
import { PAUSE_KINDS } from "../../src/audit/pause-model.ts";
import { parseDuration } from "../../src/lib/duration.ts";
import { describeAddress } from "../../src/lib/email-address.ts";
import { displayName } from "../../src/lib/visible-text.ts";
import type { PauseTarget, StoredPause } from "../../src/members/pause-store.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import type { Output } from "../kit/output.ts";
import { OPERATOR, requireReady } from "./own-database.ts";
import type { OwnDatabase } from "./own-database.ts";

/** What to pause: exactly one of these. */
export type TargetOptions = Readonly<Partial<Record<(typeof PAUSE_KINDS)[number], string>>>;

/** A pause as an operator types it. */
export interface PauseOptions extends TargetOptions {
  readonly reason?: string;
  readonly for?: string;
}

const MAX_DAYS = 366;
/** The most ids of clients that are compared with one that is not known. */
const MAX_CLIENTS = 1000;
/** A run of the upkeep reaches some hundred ledgers. */
const MAX_RUNS = 50;

/** What a command says about a change. */
export interface ReportedPause extends Output {
  /** Whether every ledger has it. */
  readonly isDone: boolean;
}

/** A pause that an operator has asked for. */
type AskedPause = PauseTarget & Pick<StoredPause, "reason" | "untilMs">;

/** Reads the options of a pause. Throws the error for wrong usage for an option of another form. */
export function readPause(options: PauseOptions, nowMs: number): AskedPause {
  const untilMs = options.for === undefined ? null : nowMs + readDuration(options.for);
  return { ...readTarget(options), reason: readReason(options.reason ?? ""), untilMs };
}

/** Pauses. Throws `CliError` for a name that is not known. */
export async function addPause(
  database: OwnDatabase,
  { reason, untilMs, ...target }: AskedPause,
  nowMs: number,
): Promise<ReportedPause> {
  await requireReady(database.pauses, "pause access");
  const known = await requireKnown(database, target);
  const [stored] = await database.pauses.list(target);
  const subjectIds = unite(stored, known);
  await database.pauses.apply({ ...target, subjectIds, reason, untilMs, isPaused: true, by: OPERATOR, nowMs });
  return report(database, target, nowMs);
}

/** Ends a pause. Throws `CliError` when there is none. */
export async function endPause(database: OwnDatabase, target: PauseTarget, nowMs: number): Promise<ReportedPause> {
  await requireReady(database.pauses, "pause access");
  const [stored] = await database.pauses.list(target);
  if (stored === undefined || !stored.isPaused)
    throw new CliError(`${nameTarget(target)} is not paused.`, { hint: "npm run gatehouse -- pause list" });
  const subjectIds = unite(stored, await listSubjectIds(database, target));
  const ended = { ...target, subjectIds, reason: stored.reason, untilMs: stored.untilMs, isPaused: false };
  await database.pauses.apply({ ...ended, by: OPERATOR, nowMs });
  return report(database, target, nowMs);
}

/** Lists all pauses, the newest change first. */
export async function listPauses(database: OwnDatabase, nowMs: number): Promise<Output> {
  await requireReady(database.pauses, "pause access");
  const pauses = await database.pauses.list();
  return {
    lines: pauses.length === 0 ? ["Nothing is paused."] : pauses.map((pause) => describe(pause, nowMs)),
    data: { pauses: pauses.map((pause) => toData(pause, nowMs)) },
  };
}

/** Has the deployment propagate a change, as long as that reaches ledgers, and says how far it came. */
async function report(database: OwnDatabase, target: PauseTarget, nowMs: number): Promise<ReportedPause> {
  let effect = await database.tell();
  let [stored] = await database.pauses.list(target);
  for (let run = 0; run < MAX_RUNS && (stored?.waitingLedgers ?? 0) > 0; run += 1) {
    const before = stored?.waitingLedgers;
    effect = await database.tell();
    [stored] = await database.pauses.list(target);
    if (stored?.waitingLedgers === before) break;
  }
  if (stored === undefined) throw new TypeError(`the pause of ${target.kind} is not in GATEHOUSE_DB`);
  const { waitingLedgers } = stored;
  return {
    lines: [
      describe(stored, nowMs),
      waitingLedgers === 0
        ? "Done: it takes effect with the next request."
        : `Not done: ${waitingLedgers === 1 ? "the ledger of 1 user does" : `the ledgers of ${waitingLedgers} users do`} not have it yet. ${effect}`,
      ...(waitingLedgers === 0
        ? []
        : ["The server goes on trying; npm run gatehouse -- pause list says how many are left."]),
    ],
    data: toData(stored, nowMs),
    isDone: waitingLedgers === 0,
  };
}

/** A user whom a pause concerns may have another address by now, and must not escape it by that. */
function unite(stored: StoredPause | undefined, known: readonly string[]): readonly string[] {
  return [...new Set([...(stored?.subjectIds ?? []), ...known])];
}

/** Reads what to pause or resume. Throws the error for wrong usage unless the options name one thing. */
export function readTarget(options: TargetOptions): PauseTarget {
  const given = PAUSE_KINDS.flatMap((kind) => {
    const text = options[kind];
    return text === undefined ? [] : [{ kind, target: kind === "user" ? parseEmailArgument(text) : text }];
  });
  const [target, another] = given;
  if (target === undefined || another !== undefined)
    throw usageError("Name one of --user, --token, --client and --source.");
  return target;
}

function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0 && ms <= MAX_DAYS * 86_400_000) return ms;
  throw usageError(`--for is ${text}. Write how long, such as 30m, 2h or 7d, at most ${MAX_DAYS}d.`);
}

/** Returns the users whose ledgers a pause of a user or personal access token concerns. */
async function listSubjectIds(
  { members, pats }: OwnDatabase,
  { kind, target }: PauseTarget,
): Promise<readonly string[]> {
  if (kind === "user") return (await members.listSubjects(target)).map(({ subjectId }) => subjectId);
  if (kind !== "token") return [];
  return (await pats.listAll()).filter(({ id }) => id === target).map(({ ownerId }) => ownerId);
}

/** Throws `CliError` with a similar name unless the target is known. */
async function requireKnown(database: OwnDatabase, target: PauseTarget): Promise<readonly string[]> {
  const subjectIds = await listSubjectIds(database, target);
  const isKnown =
    subjectIds.length > 0 || (target.kind === "client" && (await database.pauses.hasClient(target.target)));
  if (isKnown) return subjectIds;
  const names = await listNames(database, target.kind);
  if (names.includes(target.target)) return subjectIds;
  const suggestion = suggestName(target.target, names);
  const hint = suggestion === undefined ? {} : { hint: `Did you mean ${displayName(suggestion)}?` };
  throw new CliError(`${nameTarget(target)} is not known. ${WHERE_KNOWN[target.kind]}`, hint);
}

const WHERE_KNOWN = {
  user: "A user is known who has signed in or is a member.",
  token: "npm run token -- list lists the personal access tokens.",
  client:
    "A client is known about ten seconds after its first call: npm run gatehouse -- audit list shows whose it is, and with --json its id.",
  source: "A source has the name that the policy file gives it.",
} as const;

async function listNames(
  { config, members, pats, pauses }: OwnDatabase,
  kind: PauseTarget["kind"],
): Promise<readonly string[]> {
  switch (kind) {
    case "user": {
      const listed = [...config.policy.members, ...(await members.list())].map(({ email }) => email);
      return [...listed, ...(await members.listAddresses()).values()];
    }
    case "token":
      return (await pats.listAll()).map(({ id }) => id);
    case "client":
      return pauses.listClients(MAX_CLIENTS);
    case "source":
      return config.policy.sources.map(({ name }) => name);
  }
}

const NOUNS = {
  user: "The user",
  token: "The personal access token",
  client: "The client",
  source: "The source",
} as const;

function nameTarget({ kind, target }: PauseTarget): string {
  const name = kind === "user" ? describeAddress(target) : displayName(target);
  return `${NOUNS[kind]} ${name}`;
}

function stateOf({ isPaused, untilMs }: StoredPause, nowMs: number): "paused" | "resumed" | "expired" {
  if (!isPaused) return "resumed";
  return untilMs !== null && untilMs <= nowMs ? "expired" : "paused";
}

function describe(pause: StoredPause, nowMs: number): string {
  const { kind, target, reason, untilMs, changedMs, waitingLedgers } = pause;
  const state = stateOf(pause, nowMs);
  const until = state === "resumed" || untilMs === null ? [] : [`until ${timeOf(untilMs)}`];
  return [
    `${kind} ${kind === "user" ? describeAddress(target) : displayName(target)}`,
    state === "expired" ? `expired, paused at ${timeOf(changedMs)}` : `${state} at ${timeOf(changedMs)}`,
    ...until,
    ...(reason === "" ? [] : [JSON.stringify(reason)]),
    ...(waitingLedgers === 0 ? [] : [`not yet in ${countOf(waitingLedgers, "ledger")}`]),
  ].join("  ");
}

function toData(pause: StoredPause, nowMs: number) {
  const { kind, target, reason, untilMs, changedMs, waitingLedgers } = pause;
  return {
    kind,
    target,
    state: stateOf(pause, nowMs),
    reason,
    until: untilMs === null ? null : timeOf(untilMs),
    changedAt: timeOf(changedMs),
    waitingLedgers,
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
