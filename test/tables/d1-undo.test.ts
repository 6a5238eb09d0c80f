// Undos, triggers and settled changes in a real D1.
import { beforeEach, describe, expect, it } from "vitest";
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
  preview,
  apply,
  applied,
  resetItems,
  allowTrigger,
} from "../support/changed-items.ts";

beforeEach(resetItems);

describe("a trigger that the policy allows", () => {
  it.each([
    ["an insert", { operation: "insert", values: { region: "north" } }, "BEFORE INSERT"],
    ["an update", UPDATE, "BEFORE UPDATE"],
    ["a delete", { operation: "delete", where: { id: 1 } }, "BEFORE DELETE"],
  ] as const)("keeps %s from counting as applied when it ignores the row", async (_title, request, event) => {
    const sql = `CREATE TRIGGER keep ${event} ON items BEGIN SELECT RAISE(IGNORE); END`;
    const change = await allowTrigger(propose(request), "keep", sql);
    const before = await listItems();
    expect(await applied(change)).toEqual({ kind: "constraint", constraint: "other" });
    expect(await listItems()).toEqual(before);
  });

  it("keeps an insert from counting as applied when it deletes the new row", async () => {
    const sql = "CREATE TRIGGER gone AFTER INSERT ON items BEGIN DELETE FROM items WHERE id = new.id; END";
    const change = await allowTrigger(propose({ operation: "insert", values: { region: "north" } }), "gone", sql);
    expect(await applied(change)).toEqual({ kind: "constraint", constraint: "other" });
  });

  it("keeps a change from being undone, because it could change the restored rows again", async () => {
    const sql = "CREATE TRIGGER stamp AFTER UPDATE ON items BEGIN UPDATE items SET amount = 1 WHERE id = new.id; END";
    const change = await allowTrigger(propose(UPDATE), "stamp", sql);
    expect(await applied(change)).toEqual({ kind: "applied", rows: 1 });
    expect(await preview(undo(change))).toMatchObject({ kind: "unsupported" });
  });
});

describe("an undo", () => {
  it.each([
    ["a row has changed since", "UPDATE items SET code = 'new' WHERE id = 1"],
    ["a row is gone", "DELETE FROM items WHERE id = 1"],
  ])("is refused at its preview when %s", async (_title, sql) => {
    const change = propose(UPDATE);
    await applied(change);
    await database.prepare(sql).run();
    expect(await preview(undo(change))).toEqual({ kind: "drifted" });
  });

  it("is applied once of two that were approved", async () => {
    const change = propose(UPDATE);
    await applied(change);
    const [first, second] = [undo(change), undo(change)];
    await preview(first);
    await preview(second);
    const results = await Promise.all([apply(first), apply(second)]);
    expect(results.map(({ kind }) => kind).toSorted()).toEqual(["applied", "conflict"]);
  });

  it("is refused when nothing is kept of the rows before the change", async () => {
    const change = propose({ operation: "delete", where: { id: 5 } });
    await applied(change);
    const back = undo(change);
    await preview(back);
    await database.prepare("DELETE FROM _gatehouse_image WHERE change_id = ?").bind(change.id).run();
    expect(await apply(back)).toEqual({ kind: "conflict" });
    expect(await preview(undo(change))).toEqual({ kind: "drifted" });
  });

  it("is refused when a foreign key would change other rows with it", async () => {
    const change = propose({ operation: "update", where: { id: 1 }, values: { amount: 5 } });
    await applied(change);
    await database.batch([
      database.prepare("CREATE UNIQUE INDEX by_amount ON items (amount)"),
      database.prepare("CREATE TABLE parts (a INTEGER REFERENCES items (amount) ON UPDATE CASCADE)"),
    ]);
    expect(await preview(undo(change))).toMatchObject({ kind: "unsupported" });
  });

  it("shows the restored rows under the viewer's own row rules and masks", async () => {
    const change = propose({ operation: "delete", where: { id: [1, 2] } });
    await applied(change);
    const { read: decision, dataset } = decide([
      { ...READ, hidden: ["code"] },
      { ...CHANGE, columns: { state: {} } },
    ]);
    expect(await target.showImages(change.id, "before", { dataset, decision }, 5)).toMatchObject({
      total: 2,
      visible: 2,
      columns: ["id", "region", "state", "amount"],
      numbers: [1, 2],
    });
    const south = decide([
      { ...READ, rows: { column: "region", op: "=", value: "south" } },
      { ...CHANGE, columns: { state: {} } },
    ]);
    expect(await target.showImages(change.id, "before", { dataset, decision: south.read }, 5)).toMatchObject({
      total: 2,
      visible: 0,
      rows: [],
    });
  });

  it("is a conflict when the key of a deleted row was taken", async () => {
    const change = propose({ operation: "delete", where: { id: 5 } });
    await applied(change);
    await database.prepare("INSERT INTO items VALUES (5, 'south', 'open', 1, 'new')").run();
    const back = undo(change);
    expect(await preview(back)).toMatchObject({ kind: "previewed" });
    expect(await apply(back)).toEqual({ kind: "constraint", constraint: "unique" });
  });
});

describe("a settled change", () => {
  it("that was not applied never will be", async () => {
    const change = propose(UPDATE);
    await preview(change);
    expect(await target.settle(change.id)).toBe("not applied");
    expect(await apply(change)).toMatchObject({ kind: expect.not.stringMatching(/^applied$/) });
    expect(await database.prepare("SELECT state FROM items WHERE id = 1").first("state")).toBe("open");
  });

  it("that was applied stays applied", async () => {
    const change = propose(UPDATE);
    await applied(change);
    expect(await target.settle(change.id)).toBe("applied");
  });
});

describe("an apply that is asked for again", () => {
  it("says that the change was applied although the table has got a trigger since", async () => {
    const change = propose(UPDATE);
    await applied(change);
    await database.prepare("CREATE TRIGGER t AFTER UPDATE ON items BEGIN SELECT 1; END").run();
    expect(await apply(change)).toEqual({ kind: "applied", rows: 1 });
  });
});
