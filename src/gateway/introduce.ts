// The introduce operation: what the start page shows a signed-in user about their access, with three questions to ask first. It
// returns names and questions, never rows.
import { pickDescription } from "./description.ts";
import { AppError } from "../errors.ts";
import { describeAllHidden } from "./all-hidden.ts";
import type { Policy, SavedQuery, Subject } from "../policy/model.ts";
import type { VisibleTable } from "../read/source.ts";
import type { VisibleDatasets, VisibleDocuments, VisibleTables } from "./visible-datasets.ts";
import { withTimeout } from "../audit/query-timeout.ts";
import { buildDocumentQuestion, scoreTable, buildTableQuestions, findTopics } from "./suggested-questions.ts";
import type { Audited } from "../audit/audit.ts";

/** What the start page shows a user. */
export interface Introduction {
  readonly roles: readonly { readonly name: string; readonly description: string }[];
  /** The sources with data that the user may read, in declared order. */
  readonly sources: readonly { readonly title: string; readonly description?: string }[];
  /** Three questions; none for a user who may read nothing. */
  readonly questions: readonly string[];
  /** Says that every table is hidden; null if something is open. */
  readonly allHidden: string | null;
}

const QUESTION_COUNT = 3;
/** The most tables to sample per source. */
const MAX_SAMPLED_TABLES = 4;
/** The page waits no longer than this for one sample. */
const WAIT_SECONDS = 2;

/** Introduces a user to their access. There are no questions about a source that does not answer in time. */
export async function introduce(
  { sources }: VisibleDatasets,
  savedQueries: readonly SavedQuery[],
  policy: Policy,
  subject: Subject,
): Promise<Audited<Introduction>> {
  const sourceQuestions = await Promise.all(
    sources.map(async (visible, rotation) =>
      visible.kind === "d1" ? suggestTableQuestions(visible, rotation) : suggestDocumentQuestions(visible),
    ),
  );
  const savedQueryQuestions = savedQueries.map(
    ({ name, description }) => `Run the saved query ${name}: ${description}`,
  );
  const generalQuestions = sources.length === 0 ? [] : GENERAL_QUESTIONS;
  const questions = pickQuestions([
    ...sourceQuestions.map(({ questions: suggestions }) => suggestions),
    savedQueryQuestions,
    generalQuestions,
  ]);
  return {
    answer: {
      roles: policy.roles.filter(({ name }) => subject.roles.includes(name)).map(pickRoleFields),
      sources: sources.map(({ source: { declaration } }) => ({
        title: declaration.title,
        ...pickDescription(declaration),
      })),
      questions,
      allHidden: describeAllHidden(policy) ?? null,
    },
    datasets: sourceQuestions.flatMap(({ datasets }) => datasets),
    rules: sourceQuestions.flatMap(({ rules }) => rules),
  };
}

/** Questions about any data, used when the data suggests fewer than three. */
const GENERAL_QUESTIONS = [
  "What data can you see here, and what is it about?",
  "Which data here is masked or hidden from me?",
  "What can I ask you about this data?",
];

interface SourceQuestions {
  readonly questions: readonly string[];
  /** The sampled datasets, for the audit record. */
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
}

/** Picks the first question of each list, then the second of each, and so on. The last list is used only if the others have too few. */
function pickQuestions(lists: readonly (readonly string[])[]): readonly string[] {
  const [generalQuestions = []] = lists.slice(-1);
  const specificLists = lists.slice(0, -1);
  const depth = Math.max(0, ...specificLists.map((list) => list.length));
  const interleaved = Array.from({ length: depth }, (_, at) => specificLists.flatMap((list) => list[at] ?? [])).flat();
  return [...new Set([...interleaved, ...generalQuestions])].slice(0, QUESTION_COUNT);
}

/** Suggests questions about a source. `rotation` varies which kind comes first, so that similar sources get different questions. */
async function suggestTableQuestions({ source, tables }: VisibleTables, rotation: number): Promise<SourceQuestions> {
  const bestTables = tables.toSorted((a, b) => scoreTable(b) - scoreTable(a)).slice(0, MAX_SAMPLED_TABLES);
  const sampledTables: VisibleTable[] = [];
  const lists: (readonly string[])[] = [];
  for (const table of bestTables) {
    sampledTables.push(table);
    const topics = await orUndefined(findTopics(source, table));
    if (topics !== undefined) lists.push(rotateQuestions(buildTableQuestions(topics), rotation + lists.length));
    if (lists.length === 2) break;
  }
  const [firstList = [], secondList = []] = lists;
  return {
    questions: [...firstList.slice(0, 1), ...secondList.slice(0, 1), ...firstList.slice(1)],
    ...buildSampleAuditFields(sampledTables),
  };
}

/** Rotates the questions; the last, most general one stays last. */
function rotateQuestions(questions: readonly string[], rotation: number): readonly string[] {
  const rotating = questions.slice(0, -1);
  const at = rotation % Math.max(1, rotating.length);
  return [...rotating.slice(at), ...rotating.slice(0, at), ...questions.slice(-1)];
}

async function suggestDocumentQuestions(visible: VisibleDocuments): Promise<SourceQuestions> {
  const question = await orUndefined(buildDocumentQuestion(visible));
  return { questions: question === undefined ? [] : [question], ...buildSampleAuditFields([visible]) };
}

/** Returns the source's answer, or undefined after a timeout or an error, so that the page opens even if a source is down. */
async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await withTimeout(answer, WAIT_SECONDS);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function buildSampleAuditFields(
  sampled: readonly Pick<VisibleTable, "dataset" | "decision">[] | readonly VisibleDocuments[],
) {
  return {
    datasets: sampled.map(({ dataset }) => dataset.id),
    rules: sampled.flatMap(({ decision }) => decision.rules),
  };
}

function pickRoleFields({ name, description }: Policy["roles"][number]): Introduction["roles"][number] {
  return { name, description };
}
