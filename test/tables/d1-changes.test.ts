// Changes in a real D1: previews, and transactions that apply whole or not at all.
import { beforeEach, describe, expect, it } from "vitest";
import { newId } from "../../src/lib/ids.ts";
import type { Rule } from "../support/policy-builder.ts";
import {
  READ,
  CHANGE,
  UPDATE,
  database,
  target,
  decide,
  propose,
  undo,
  listItems,
  countImages,
  preview,
  apply,
  applied,
  resetItems,
  digest,
} from "../support/changed-items.ts";

beforeEach(resetItems);

describe("an update", () => {
  it("changes the rows of its preview and nothing else, and its undo restores every byte", async () => {
    const before = await listItems();
    const change = propose({
      operation: "update",
      where: { id: [1, 2, 3] },
      values: { state: "closed", amount: "9007199254740995" },
    });
    expect(await preview(change)).toEqual({ kind: "previewed", rows: 3, grant: 0, computedColumns: [] });
    expect(await listItems()).toEqual(before);
    expect(await apply(change)).toEqual({ kind: "applied", rows: 3 });
    const { results } = await database
      .prepare("SELECT id, CAST(amount AS TEXT) AS a FROM items WHERE state = 'closed'")
      .all();
    expect(results).toEqual([
      { id: 1, a: "9007199254740995" },
      { id: 2, a: "9007199254740995" },
      { id: 3, a: "9007199254740995" },
      { id: 5, a: "text" },
    ]);
    const back = undo(change);
    expect(await applied(back)).toEqual({ kind: "applied", rows: 3 });
    expect(await listItems()).toEqual(before);
    expect(await target.findUndo(change.id)).toBe(back.id);
  });

  it("is applied once, however often it is asked for", async () => {
    const change = propose(UPDATE);
    expect(await applied(change)).toEqual({ kind: "applied", rows: 1 });
    await database.prepare("UPDATE items SET state = 'open' WHERE id = 1").run();
    expect(await apply(change)).toEqual({ kind: "applied", rows: 1 });
    expect(await database.prepare("SELECT state FROM items WHERE id = 1").first("state")).toBe("open");
  });

  it.each([
    ["a value of a row has changed", "UPDATE items SET code = 'other' WHERE id = 1"],
    ["a value has another type", "UPDATE items SET code = x'610062' WHERE id = 1"],
    ["a row is gone", "DELETE FROM items WHERE id = 1"],
    ["a row left the sight of the requester", "UPDATE items SET region = 'south' WHERE id = 1"],
    ["the table has changed", "ALTER TABLE items ADD COLUMN extra TEXT"],
  ])("is refused as a conflict when %s since the preview", async (_title, sql) => {
    const change = propose(UPDATE);
    await preview(change);
    await database.prepare(sql).run();
    const before = await listItems();
    expect(await apply(change)).toEqual({ kind: "conflict" });
    expect(await listItems()).toEqual(before);
  });

  it("is refused as a conflict when another row has come to satisfy its where", async () => {
    const change = propose({ operation: "update", where: { state: "closed" }, values: { amount: 1 } });
    await preview(change);
    await database.prepare("UPDATE items SET state = 'closed' WHERE id = 1").run();
    expect(await apply(change)).toEqual({ kind: "conflict" });
  });

  it.each([
    ["no row that the requester sees", { where: { id: 4 }, values: { state: "closed" } }, { kind: "no rows" }],
    [
      "more rows than the rule allows",
      { where: { region: "north" }, values: { state: "closed" } },
      { kind: "too many rows", maxRows: 3 },
    ],
    [
      "a row that would leave the requester's sight",
      { where: { id: 1 }, values: { region: "south" } },
      { kind: "leaves sight" },
    ],
  ])("is refused at its preview for %s", async (_title, request, refusal) => {
    expect(await preview(propose({ operation: "update", ...request }))).toEqual(refusal);
    expect(await countImages()).toBe(0);
  });

  it.each([
    [{ code: "FIVE" }, "no rows"],
    [{ code: "five " }, "no rows"],
    [{ code: "five" }, "previewed"],
    [{ amount: null, id: 3 }, "previewed"],
    [{ id: "1" }, "previewed"],
    [{ id: [1, 4] }, "previewed"],
  ])("compares %j exactly: %s", async (where, kind) => {
    await database.batch([
      database.prepare("DROP TABLE items"),
      database.prepare(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, region TEXT, state TEXT, amount INTEGER, code TEXT COLLATE NOCASE)",
      ),
      database.prepare(
        "INSERT INTO items VALUES (1, 'north', 'open', 5, 'five'), (3, 'north', 'open', NULL, 'x'), (4, 'south', 'open', 1, 'five ')",
      ),
    ]);
    expect(await preview(propose({ operation: "update", where, values: { state: "closed" } }))).toMatchObject({
      kind,
    });
  });

  it("is refused when a trigger moves the row out of the requester's sight", async () => {
    const sql =
      "CREATE TRIGGER move AFTER UPDATE ON items BEGIN UPDATE items SET region = 'south' WHERE id = new.id; END";
    const change = propose(UPDATE);
    const dataset = { ...change.plan.dataset, triggers: { move: await digest(sql) } };
    await database.prepare(sql).run();
    const allowed = { ...change, plan: { ...change.plan, dataset } };
    expect(await preview(change)).toMatchObject({ kind: "unsupported" });
    expect(await applied(allowed)).toEqual({ kind: "leaves sight" });
    expect(await database.prepare("SELECT region, state FROM items WHERE id = 1").first()).toEqual({
      region: "north",
      state: "open",
    });
  });
});

describe("a preview", () => {
  it("is the one that was approved, whatever another preview of the change has stored since", async () => {
    const change = propose({ operation: "update", where: { state: "closed" }, values: { amount: 1 } });
    await preview(change);
    await database.prepare("UPDATE items SET state = 'closed' WHERE id = 1").run();
    expect(await target.preview({ ...change, previewId: newId() })).toMatchObject({ kind: "previewed", rows: 2 });
    expect(await apply(change)).toEqual({ kind: "conflict" });
  });

  it("is refused for rows that are too large to be stored", async () => {
    await database.prepare("UPDATE items SET code = zeroblob(1900000) WHERE id = 1").run();
    await database.prepare("UPDATE items SET amount = zeroblob(1000000) WHERE id = 2").run();
    const change = propose({ operation: "update", where: { id: [1, 2] }, values: { state: "closed" } });
    expect(await preview(change)).toEqual({ kind: "too large" });
    expect(await countImages()).toBe(0);
  });
});

describe("an insert", () => {
  it("adds one row with the values that the database sets, and its undo removes it", async () => {
    const before = await listItems();
    const change = propose({ operation: "insert", values: { region: "north", amount: 3 } });
    expect(await preview(change)).toEqual({
      kind: "previewed",
      rows: 1,
      grant: 0,
      computedColumns: ["id", "state"],
    });
    expect(await apply(change)).toEqual({ kind: "applied", rows: 1 });
    expect(await database.prepare("SELECT * FROM items WHERE id = 6").first()).toEqual({
      id: 6,
      region: "north",
      state: "open",
      amount: 3,
      code: null,
    });
    expect(await applied(undo(change))).toEqual({ kind: "applied", rows: 1 });
    expect(await listItems()).toEqual(before);
  });

  it.each([
    [{ region: "south" }, "leaves sight"],
    [{ region: "north", code: "hidden" }, "previewed"],
    [{ region: "north", id: 4 }, "previewed"],
  ])("says nothing at its preview about rows that the requester does not see: %j", async (values, kind) => {
    expect(await preview(propose({ operation: "insert", values }))).toMatchObject({ kind });
  });

  it.each([
    [{ region: "north", code: "hidden" }, "unique"],
    [{ region: "north", id: 4 }, "unique"],
  ])("is refused by the database for %j when it is applied, without a value", async (values, constraint) => {
    const before = await listItems();
    expect(await applied(propose({ operation: "insert", values }))).toEqual({ kind: "constraint", constraint });
    expect(await listItems()).toEqual(before);
  });

  it("is refused when a default of the database puts the row out of sight", async () => {
    expect(await applied(propose({ operation: "insert", values: { amount: 3 } }))).toMatchObject({
      kind: expect.stringMatching(/sight|allowed/),
    });
  });
});

describe("a delete", () => {
  it("removes the rows, and its undo inserts them again with their rowids", async () => {
    const before = await listItems();
    const change = propose({ operation: "delete", where: { id: [1, 2] } });
    expect(await applied(change)).toEqual({ kind: "applied", rows: 2 });
    expect(await database.prepare("SELECT count(*) AS n FROM items").first("n")).toBe(3);
    const back = undo(change);
    expect(await applied(back)).toEqual({ kind: "applied", rows: 2 });
    expect(await listItems()).toEqual(before);
  });

  it("restores the rowids of a table whose key is not the rowid", async () => {
    await database.batch([
      database.prepare("DROP TABLE items"),
      database.prepare("CREATE TABLE items (id TEXT PRIMARY KEY, region TEXT, state TEXT, amount INTEGER, code TEXT)"),
      database.prepare(
        "INSERT INTO items (rowid, id, region) VALUES (10, '1', 'north'), (20, '2', 'north'), (15, '3', 'north')",
      ),
    ]);
    const before = await listItems();
    const change = propose({ operation: "delete", where: { region: "north" } });
    expect(await applied(change)).toEqual({ kind: "applied", rows: 3 });
    expect(await applied(undo(change))).toEqual({ kind: "applied", rows: 3 });
    expect(await listItems()).toEqual(before);
  });

  it.each(["CASCADE", "SET NULL", "SET DEFAULT"])("is refused when a foreign key has the action %s", async (action) => {
    await database
      .prepare(`CREATE TABLE parts (item_id INTEGER DEFAULT 1 REFERENCES Items (id) ON DELETE ${action})`)
      .run();
    expect(await preview(propose({ operation: "delete", where: { id: 1 } }))).toMatchObject({
      kind: "unsupported",
    });
    expect(await preview(propose(UPDATE))).toMatchObject({ kind: "previewed" });
  });

  it("is refused by a foreign key without an action when it is applied", async () => {
    await database.batch([
      database.prepare("CREATE TABLE parts (item_id INTEGER REFERENCES items)"),
      database.prepare("INSERT INTO parts VALUES (1)"),
    ]);
    expect(await applied(propose({ operation: "delete", where: { id: 1 } }))).toEqual({
      kind: "constraint",
      constraint: "foreign key",
    });
  });
});

describe("rows of a change", () => {
  it("are shown under the viewer's own decision, and as changed when they are", async () => {
    const change = propose({ operation: "update", where: { id: [1, 2] }, values: { state: "closed" } });
    await preview(change);
    const viewer = (rule: Rule) => {
      const { read: decision, dataset } = decide([rule, { ...CHANGE, columns: { state: {} } }]);
      return { dataset, decision };
    };
    const masked = { ...READ, hidden: ["code"], masks: { amount: { kind: "null" } } } as Rule;
    expect(await target.show({ id: change.previewId, phase: "preview" }, viewer(masked), 1)).toEqual({
      total: 2,
      visible: 2,
      columns: ["id", "region", "state", "amount"],
      rows: [[1, "north", "open", null]],
      numbers: [1],
      hasDrifted: false,
    });
    await database.prepare("UPDATE items SET region = 'south', code = 'x' WHERE id = 1").run();
    expect(await target.show({ id: change.previewId, phase: "preview" }, viewer(masked), 9)).toMatchObject({
      total: 2,
      visible: 1,
      hasDrifted: true,
      rows: [[2, "north", "open", null]],
    });
  });
});
