// Exchanges one token for its value: only for who has the right to, and only if a row that this right reaches carries the
// value now.
import { AppError } from "../errors.ts";
import type { Disclosure } from "../policy/model.ts";
import { grantingRules } from "../policy/views.ts";
import { showCell } from "../sql/exact.ts";
import type { OpenTable } from "../sources/source.ts";
import { datasetUri } from "./catalogue.ts";
import type { Catalogue, OpenTables } from "./catalogue.ts";
import type { FetchAnswer } from "./fetched.ts";
import type { Answered } from "./recorded.ts";
import { UNTRUSTED_NOTE, fence } from "./untrusted.ts";

/** A column whose tokens of a domain the person may exchange, under the grants that say so. */
interface Revealing {
  readonly table: OpenTable;
  readonly column: OpenTable["dataset"]["columns"][number];
  readonly domain: string;
}

/** Errors: `not_found`, also when the token stands for something out of the person's reach. */
export async function revealToken({ open: sources }: Catalogue, token: string): Promise<Answered<FetchAnswer>> {
  for (const open of sources.filter((one): one is OpenTables => one.kind === "d1")) {
    for (const revealing of open.tables.flatMap(revealingOf)) {
      const { table, column, domain } = revealing;
      const [cell = null] = (await open.source.reveal(table, column, domain, token)) ?? [];
      if (cell !== null) return answerOf(revealing, token, String(showCell(cell)));
    }
  }
  const message = `There is no value behind ${token} that you may see. Only some roles may exchange tokens, for rows that they see.`;
  throw new AppError("not_found", message, { isMissing: true });
}

function revealingOf({ dataset, decision }: OpenTable): readonly Revealing[] {
  return dataset.columns.flatMap((column) => {
    const grants = decision.grants.filter(({ reveal }) => reveal.includes(column.name));
    const disclosure = grants[0]?.columns[column.name];
    if (disclosure?.kind !== "token") return [];
    const clear: Readonly<Record<string, Disclosure>> = { [column.name]: { kind: "clear" } };
    const narrowed = grants.map((grant) => ({ ...grant, columns: clear }));
    // The rules that denied stay, for the record.
    const others = new Set(decision.grants.flatMap((grant) => (grants.includes(grant) ? [] : [grant.rule])));
    const rules = decision.rules.filter((rule) => !others.has(rule));
    const table = { dataset, decision: { ...decision, grants: narrowed, rules } };
    return [{ table, column, domain: disclosure.domain }];
  });
}

function answerOf({ table, column }: Revealing, token: string, text: string): Answered<FetchAnswer> {
  const { dataset, decision } = table;
  const name = `${dataset.id}.${column.name}`;
  const answer = {
    id: token,
    title: `${name} of ${token}`,
    text: column.untrusted ? fence(text) : text,
    url: datasetUri(dataset),
    metadata: {
      kind: "token",
      column: name,
      ...(column.untrusted ? { untrusted: UNTRUSTED_NOTE } : {}),
      rules: grantingRules(decision),
    },
  };
  return { answer, datasets: [dataset.id], rules: decision.rules, untrusted: column.untrusted ? [name] : [], rows: 1 };
}
