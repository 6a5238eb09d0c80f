// The introduce operation: what the start page tells a signed-in person of what they may see, with three questions to begin
// with. Names and questions leave, rows do not.
import { AppError } from "../errors.ts";
import type { Policy, SavedQuery, Subject } from "../policy/model.ts";
import type { OpenTable } from "../sources/source.ts";
import type { Catalogue, OpenDocuments, OpenSource, OpenTables } from "./catalogue.ts";
import { inTime } from "./in-time.ts";
import { documentQuestion, promiseOf, questionsAbout, topicsOf } from "./questions.ts";
import type { Answered } from "./recorded.ts";

export interface Introduction {
  readonly roles: readonly { readonly name: string; readonly description: string }[];
  /** The sources of which something is open to the person, in declared order. */
  readonly sources: readonly { readonly title: string; readonly description: string }[];
  /** Three where anything is open to the person, none otherwise. */
  readonly questions: readonly string[];
}

const QUESTIONS = 3;
/** Tables that are looked at in vain, of each source. */
const MAX_TRIES = 4;
/** A page is not kept waiting longer by one source. */
const WAIT_SECONDS = 2;

/** Tells who one is here and what to ask. A source that does not answer is left out of the questions. */
export async function introduce(
  { open }: Catalogue,
  saved: readonly SavedQuery[],
  policy: Policy,
  subject: Subject,
): Promise<Answered<Introduction>> {
  const asked = await Promise.all(
    open.map(async (one, turn) => (one.kind === "d1" ? askTables(one, turn) : askDocuments(one))),
  );
  const runs = saved.map(({ name, description }) => `Run the saved query ${name}: ${description}`);
  const general = open.length === 0 ? [] : GENERAL;
  const questions = pick([...asked.map(({ questions: own }) => own), runs, general]);
  return {
    answer: {
      roles: policy.roles.filter(({ name }) => subject.roles.includes(name)).map(toldRole),
      sources: open.map(({ source: { declaration } }) => toldSource(declaration)),
      questions,
    },
    datasets: asked.flatMap(({ datasets }) => datasets),
    rules: asked.flatMap(({ rules }) => rules),
  };
}

/** True of any data, where it gives rise to no others. */
const GENERAL = [
  "What data can you see here, and what does it tell about?",
  "Which of the data that you see here is masked or left out for me?",
  "What could I ask you about this data?",
];

interface AskedSource {
  readonly questions: readonly string[];
  /** What was looked at. */
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
}

/** The first question of each source, then the second of each, and so on. */
function pick(lists: readonly (readonly string[])[]): readonly string[] {
  const [general = []] = lists.slice(-1);
  const telling = lists.slice(0, -1);
  const depth = Math.max(0, ...telling.map((list) => list.length));
  const inTurn = Array.from({ length: depth }, (_, at) => telling.flatMap((list) => list[at] ?? [])).flat();
  return [...new Set([...inTurn, ...general])].slice(0, QUESTIONS);
}

/** `turn`: which question comes first, so that sources that are alike are not asked the same. */
async function askTables({ source, tables }: OpenTables, turn: number): Promise<AskedSource> {
  const best = tables.toSorted((a, b) => promiseOf(b) - promiseOf(a)).slice(0, MAX_TRIES);
  const looked: OpenTable[] = [];
  const lists: (readonly string[])[] = [];
  for (const table of best) {
    looked.push(table);
    const topics = await answered(topicsOf(source, table));
    if (topics !== undefined) lists.push(turned(questionsAbout(topics), turn + lists.length));
    if (lists.length === 2) break;
  }
  const [one = [], other = []] = lists;
  return { questions: [...one.slice(0, 1), ...other.slice(0, 1), ...one.slice(1)], ...recordOf(looked) };
}

/** The last one, which is the least telling, stays the last. */
function turned(questions: readonly string[], turn: number): readonly string[] {
  const telling = questions.slice(0, -1);
  const at = turn % Math.max(1, telling.length);
  return [...telling.slice(at), ...telling.slice(0, at), ...questions.slice(-1)];
}

async function askDocuments(open: OpenDocuments): Promise<AskedSource> {
  const question = await answered(documentQuestion(open));
  return { questions: question === undefined ? [] : [question], ...recordOf([open]) };
}

/** What a source answers in time; the page must open also when one of them is slow, busy or away. */
async function answered<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await inTime(answer, WAIT_SECONDS);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function recordOf(looked: readonly Pick<OpenTable, "dataset" | "decision">[] | readonly OpenDocuments[]) {
  return {
    datasets: looked.map(({ dataset }) => dataset.id),
    rules: looked.flatMap(({ decision }) => decision.rules),
  };
}

function toldRole({ name, description }: Policy["roles"][number]): Introduction["roles"][number] {
  return { name, description };
}

function toldSource({ title, description }: OpenSource["source"]["declaration"]): Introduction["sources"][number] {
  return { title, description };
}
