// Creates the tables of a file in D1 and copies their rows, parents before children. D1 always enforces foreign keys, so the rows of a
// cycle go to tables without any first, and from there in one transaction. A table that D1 refuses as declared is declared plainly; if D1
// refuses that too, or the file cannot be read, it is left out.
import type { DatabaseSync } from "node:sqlite";
import { foldName, quoteIdentifier } from "../../src/sql/identifier.ts";
import type { Progress } from "../kit/progress.ts";
import { copyRows } from "./copy-rows.ts";
import type { Copied, TargetDatabase } from "./copy-rows.ts";
import { plainDeclaration, withoutForeignKeys, withoutUnknownCollations } from "./declaration.ts";
import { findFault, groupByReferences, listForeignKeys, listPrimaryKey } from "./foreign-keys.ts";
import type { ForeignKey } from "./foreign-keys.ts";
import { messageOf } from "./load-problem.ts";
import { STAGING_PREFIX, dropTables } from "./load-record.ts";
import type { LeftOut } from "./schema.ts";

/** A table of the file. `note` says how its declaration was changed already. */
export interface SourceTable {
  readonly name: string;
  readonly sql: string;
  readonly indexes: readonly SourceIndex[];
  readonly note?: string;
}

/** An index of the file that its author declared. */
export interface SourceIndex {
  readonly name: string;
  readonly sql: string;
}

const MAX_COLUMNS = 100;

interface TablePlan extends SourceTable {
  /** Columns that store values; generated columns compute theirs. */
  readonly columns: readonly string[];
  readonly isStrict: boolean;
  readonly foreignKeys: readonly ForeignKey[];
  /** Why foreign keys cannot be enforced, by their position. */
  readonly faults: Map<number, string>;
}

export class TableLoader {
  readonly leftOut: LeftOut[] = [];
  readonly notes: LeftOut[] = [];
  readonly references = new Map<string, string>();
  tables = 0;
  rows = 0;
  readonly #source: DatabaseSync;
  readonly #target: TargetDatabase;
  readonly #progress: Progress;
  /** By folded name. A table is removed when it cannot be loaded. */
  readonly #plans = new Map<string, TablePlan>();

  constructor(source: DatabaseSync, target: TargetDatabase, tables: readonly SourceTable[], progress: Progress) {
    [this.#source, this.#target, this.#progress] = [source, target, progress];
    for (const table of tables) this.#plan(table);
    const names = new Map([...this.#plans].map(([folded, { name }]) => [folded, name]));
    for (const plan of this.#plans.values())
      for (const [position, key] of plan.foreignKeys.entries()) {
        const fault = this.#findFault(plan.name, key, names);
        if (fault !== undefined) plan.faults.set(position, fault);
      }
  }

  /** Whether a table was loaded. */
  has(table: string): boolean {
    return this.#plans.has(foldName(table));
  }

  async loadAll(): Promise<void> {
    const parentsOf = (name: string): readonly string[] => {
      const plan = this.#plans.get(foldName(name));
      const kept = plan?.foreignKeys.filter((_key, position) => !plan.faults.has(position)) ?? [];
      return kept.flatMap(({ parent }) => this.#plans.get(foldName(parent))?.name ?? []);
    };
    const names = [...this.#plans.values()].map(({ name }) => name);
    for (const group of groupByReferences(names, parentsOf)) {
      const plans = group.flatMap((name) => this.#plans.get(foldName(name)) ?? []);
      const isCycle = plans.some(({ name }) => parentsOf(name).some((parent) => group.includes(parent)));
      await (isCycle ? this.#loadCycle(plans) : this.#loadAlone(plans));
    }
  }

  #plan(table: SourceTable): void {
    const { name } = table;
    try {
      const columns = this.#source.prepare("SELECT name, hidden FROM pragma_table_xinfo(?, 'main')").all(name);
      const [kind] = this.#source.prepare("SELECT strict FROM pragma_table_list(?) WHERE schema = 'main'").all(name);
      if (columns.length > MAX_COLUMNS)
        return this.#leaveOut(
          name,
          `has ${columns.length} columns; D1 takes ${MAX_COLUMNS}. Split the table, or drop columns.`,
        );
      this.#plans.set(foldName(name), {
        ...table,
        columns: columns.filter(({ hidden }) => Number(hidden) === 0).map((column) => String(column["name"])),
        isStrict: Number(kind?.["strict"]) === 1,
        foreignKeys: listForeignKeys(this.#source, name),
        faults: new Map(),
      });
    } catch (error) {
      this.#leaveOut(name, `could not be read: ${messageOf(error)}.`);
    }
  }

  #findFault(child: string, key: ForeignKey, names: ReadonlyMap<string, string>): string | undefined {
    try {
      return findFault(this.#source, child, key, names);
    } catch (error) {
      return `it could not be checked (${messageOf(error)})`;
    }
  }

  #leaveOut(name: string, reason: string): void {
    this.#plans.delete(foldName(name));
    this.leftOut.push({ name, reason });
  }

  /** Loads tables one by one, each as declared, or plainly if D1 refuses that. */
  async #loadAlone(plans: readonly TablePlan[], isWithoutForeignKeys = false): Promise<void> {
    for (const plan of plans) {
      this.#dropMissingParents(plan);
      const declared = this.#declare(plan, isWithoutForeignKeys);
      const first =
        declared === undefined ? "its foreign keys cannot be told apart" : await this.#tryLoad(plan, declared);
      if (first === undefined) continue;
      const plain = plainDeclaration(this.#source, plan.name, plan.isStrict);
      const second = await this.#tryLoad(plan, plain);
      if (second !== undefined) this.#leaveOut(plan.name, `could not be loaded: ${second}.`);
      else
        this.notes.push({
          name: plan.name,
          reason: `was loaded with its columns and primary key only, because D1 refused its declaration: ${first}.`,
        });
    }
  }

  /** A foreign key to a table that could not be loaded cannot be enforced either. */
  #dropMissingParents(plan: TablePlan): void {
    for (const [position, { parent }] of plan.foreignKeys.entries())
      if (!this.has(parent) && !plan.faults.has(position)) plan.faults.set(position, `${parent} was not loaded`);
  }

  #declare({ sql, foreignKeys, faults }: TablePlan, isWithoutForeignKeys: boolean): string | undefined {
    const removed = isWithoutForeignKeys ? new Set(foreignKeys.keys()) : new Set(faults.keys());
    return removed.size === 0 ? sql : withoutForeignKeys(sql, foreignKeys.length, removed);
  }

  /** Creates and fills a table. Returns why it could not, after removing it again. */
  async #tryLoad(plan: TablePlan, declaration: string): Promise<string | undefined> {
    try {
      await this.#target.prepare(declaration).all();
      const copied = await this.#copy(plan, { table: plan.name, columns: plan.columns });
      this.#accept(plan, copied);
    } catch (error) {
      await this.#undo([plan.name]);
      return messageOf(error);
    }
    // Before the tables that refer to this one: a foreign key may need a unique index.
    await this.#createIndexes(plan);
    return undefined;
  }

  async #createIndexes({ indexes }: TablePlan): Promise<void> {
    for (const { name, sql } of indexes) {
      const { unknown } = withoutUnknownCollations(sql);
      if (unknown.length > 0) {
        this.leftOut.push({ name, reason: `is an index with the unknown collation ${unknown.join(", ")}.` });
        continue;
      }
      try {
        await this.#target.prepare(sql.replace(/^(CREATE\s+(?:UNIQUE\s+)?INDEX)\b/i, "$1 IF NOT EXISTS")).all();
      } catch (error) {
        await this.#checkTarget();
        this.leftOut.push({ name, reason: `is an index that could not be created: ${messageOf(error)}.` });
      }
    }
  }

  async #copy(plan: TablePlan, into: { readonly table: string; readonly columns: readonly string[] }): Promise<Copied> {
    const onRows = (rows: number): void => this.#progress.add(plan.name, rows);
    return copyRows({
      source: this.#source,
      target: this.#target,
      table: plan.name,
      columns: plan.columns,
      into,
      onRows,
    });
  }

  async #undo(tables: readonly string[]): Promise<void> {
    await this.#checkTarget();
    await dropTables(this.#target, tables);
  }

  /** Throws when the target does not answer any more: then no object is to blame, and the load is not complete. */
  async #checkTarget(): Promise<void> {
    await this.#target.prepare("SELECT 1").all();
  }

  async #loadCycle(plans: readonly TablePlan[]): Promise<void> {
    const staged = plans.map((plan, index) => ({ plan, name: `${STAGING_PREFIX}${index}` }));
    const created = [...plans.map(({ name }) => name), ...staged.map(({ name }) => name)];
    for (const plan of plans) this.#dropMissingParents(plan);
    try {
      for (const plan of plans) await this.#createForCycle(plan);
      const copies = new Map<TablePlan, Copied>();
      for (const { plan, name } of staged) copies.set(plan, await this.#stage(plan, name));
      await this.#commitStaged(staged);
      for (const [plan, copied] of copies) this.#accept(plan, copied);
    } catch (error) {
      await this.#undo(created);
      const reason = `was loaded without its foreign keys, because D1 refused them: ${messageOf(error)}.`;
      await this.#loadAlone(plans, true);
      for (const { name } of plans) if (this.has(name)) this.notes.push({ name, reason });
      return;
    }
    for (const plan of plans) await this.#createIndexes(plan);
  }

  /** Creates a table and its unique indexes, which foreign keys of the cycle may need. */
  async #createForCycle(plan: TablePlan): Promise<void> {
    const declared = this.#declare(plan, false);
    if (declared === undefined) throw new Error("its foreign keys cannot be told apart");
    const unique = plan.indexes.filter(({ sql }) => /^CREATE\s+UNIQUE\b/i.test(sql));
    for (const sql of [declared, ...unique.map((index) => index.sql)]) await this.#target.prepare(sql).all();
  }

  async #stage(plan: TablePlan, name: string): Promise<Copied> {
    // Columns without a type keep every value as it is.
    const columns = plan.columns.map((_column, index) => `c${index}`);
    await this.#target.prepare(`CREATE TABLE ${name} (${columns.join(", ")})`).all();
    return this.#copy(plan, { table: name, columns });
  }

  async #commitStaged(staged: readonly { readonly plan: TablePlan; readonly name: string }[]): Promise<void> {
    const statements = staged.flatMap(({ plan, name }) => [
      `INSERT INTO ${quoteIdentifier(plan.name)} (${plan.columns.map(quoteIdentifier).join(", ")}) ` +
        `SELECT ${plan.columns.map((_column, index) => `c${index}`).join(", ")} FROM ${name} ORDER BY rowid`,
    ]);
    const drops = staged.map(({ name }) => `DROP TABLE ${name}`);
    const all = ["PRAGMA defer_foreign_keys = on", ...statements, ...drops];
    await this.#target.batch(all.map((sql) => this.#target.prepare(sql)) as never[]);
  }

  /** Counts a loaded table and notes what it lost. */
  #accept(plan: TablePlan, { rows, tooLarge, invalidText }: Copied): void {
    const { name, note, foreignKeys, faults } = plan;
    this.tables += 1;
    this.rows += rows;
    if (note !== undefined) this.notes.push({ name, reason: note });
    if (tooLarge > 0)
      this.notes.push({
        name,
        reason: `is not complete: ${tooLarge} ${tooLarge === 1 ? "row is" : "rows are"} larger than the 2 MB that D1 takes.`,
      });
    for (const [column, count] of invalidText)
      this.notes.push({
        name: `${name}.${column}`,
        reason: `has ${count} values that are not valid UTF-8, kept byte by byte.`,
      });
    for (const [position, fault] of faults) {
      const key = foreignKeys[position];
      const columns = key?.from.join(", ") ?? "";
      this.notes.push({ name, reason: `was loaded without the foreign key of ${columns}: ${fault}.` });
    }
    for (const { parent, from, to } of foreignKeys) {
      const parentName = this.#plans.get(foldName(parent))?.name;
      const [column] = from;
      if (parentName === undefined || from.length !== 1 || column === undefined) continue;
      const [target] = to ?? listPrimaryKey(this.#source, parentName);
      if (target !== undefined) this.references.set(`${name}.${column}`, `${parentName}.${target}`);
    }
  }
}
