// The pages on which people review changes of data: what they show in each state and of each value, and which forms they offer.
import { describe, expect, it } from "vitest";
import { CHANGE_STATES } from "../../src/changes/change-states.ts";
import type { ChangeState } from "../../src/changes/change-states.ts";
import type { ChangeView, ConcerningChanges } from "../../src/changes/change-view.ts";
import { PAGE, mountChangePages, readText } from "./change-mount.ts";
import { CHANGE_ID, OTHER_ID, PROOF, buildView, column, createMemoryReview, value } from "./change-views.ts";

/** Opens the page of a change. */
async function openView(overrides: Partial<ChangeView> = {}) {
  const { send } = await mountChangePages(createMemoryReview(buildView(overrides)));
  return send(PAGE);
}

/** The texts of the cells of the table, row by row. */
function readCells(html: string): readonly string[] {
  return [...html.matchAll(/<td[^>]*>(.*?)<\/td>/gs)].map(([, cell = ""]) => readText(cell).trim());
}

const offers = (html: string, action: "decision" | "undo"): boolean => html.includes(`action="${PAGE}/${action}"`);

/** What the page says in each state, for a viewer who may do everything that the state allows. */
const STATE_TEXTS: Readonly<Record<ChangeState, readonly [label: string, meaning: string]>> = {
  proposed: ["Waits for a decision", "Nothing has changed yet."],
  approved: ["Approved", "It will be applied now."],
  applying: ["Being applied", "Load this page again"],
  applied: ["Applied", "It was applied as a whole."],
  denied: ["Denied", "No row has changed."],
  expired: ["Expired", "No row has changed."],
  conflict: ["Not applied", "so no row has changed."],
  failed: ["Failed", "The database refused it"],
  outcome_unknown: ["Outcome not known yet", "The server keeps trying"],
};

describe("the page of a change", () => {
  it.each(CHANGE_STATES)("names the state %s, and offers only what it allows", async (state) => {
    const { status, html } = await openView({ state, mayUndo: { isAllowed: true } });
    const text = readText(html);
    expect(status).toBe(200);
    for (const part of STATE_TEXTS[state]) expect(text).toContain(part);
    expect(offers(html, "decision")).toBe(state === "proposed");
    expect(offers(html, "undo")).toBe(state === "applied");
    expect(text.includes("Expires")).toBe(state === "proposed");
  });

  it("says what is asked, by whom, through which client, why and until when", async () => {
    const text = readText((await openView({ isOwn: true })).html);
    expect(text).toContain("Update of 1 row in shop.tickets");
    expect(text).toContain("analyst@harbor.example (you), through https://client.example/metadata.json");
    expect(text).toContain(
      "Reason that the assistant gives The customer confirmed the delivery. An assistant wrote this.",
    );
    expect(text).toContain("Expires 28 November 2026 at 10:00 UTC");
    expect(text).toContain("Who decides a reviewer, who is another user");
  });

  it.each([
    ["insert", "Insertion of 1 row into shop.tickets"],
    ["delete", "Deletion of 1 row from shop.tickets"],
  ] as const)("says that it is about an %s", async (operation, title) => {
    expect(readText((await openView({ operation })).html)).toContain(title);
  });

  it("makes the approval of a deletion look dangerous", async () => {
    expect((await openView({ operation: "delete" })).html).toContain('class="primary danger"');
    expect((await openView()).html).not.toContain('class="primary danger"');
  });

  it("links from an undo to the change that it takes back", async () => {
    const { html } = await openView({ undoes: OTHER_ID });
    expect(readText(html)).toContain("Undo of an earlier change: update of 1 row in shop.tickets");
    expect(html).toContain(`<a href="/changes/${OTHER_ID}">an earlier change</a>`);
  });

  it("says why the viewer may not decide, without a form", async () => {
    const { html } = await openView({ mayDecide: { isAllowed: false, why: "Only a reviewer decides this." } });
    expect(html).toContain("Only a reviewer decides this.");
    expect(offers(html, "decision")).toBe(false);
    expect(html).not.toContain(PROOF);
  });

  it("says why an applied change cannot be undone, without a form", async () => {
    const { html } = await openView({ state: "applied", mayUndo: { isAllowed: false, why: "It is itself an undo." } });
    expect(html).toContain("It is itself an undo.");
    expect(offers(html, "undo")).toBe(false);
  });

  it("says who decided and when, and the explanation of a change that was not applied", async () => {
    const { html } = await openView({
      state: "denied",
      decision: { approves: false, by: "lead@harbor.example", place: "page", atMs: Date.UTC(2026, 10, 27, 11, 0) },
      explanation: "A person denied it.",
    });
    const text = readText(html);
    expect(text).toContain("Denied by lead@harbor.example , 27 November 2026 at 11:00 UTC");
    expect(text).toContain("A person denied it.");
    const applied = readText((await openView({ state: "applied", appliedMs: Date.UTC(2026, 10, 27, 11, 1) })).html);
    expect(applied).toContain("Applied 27 November 2026 at 11:01 UTC");
  });

  it.each([
    ["the user of a change that was denied afterwards, because rights had ended", "denied", "page", " , 27 November"],
    ["the user of a form of the client", "applied", "form", " in a form of the client, 27 November"],
  ] as const)("names as the approver %s", async (_title, state, place, where) => {
    const decision = { approves: true, by: "lead@harbor.example", place, atMs: Date.UTC(2026, 10, 27, 11, 0) };
    const text = readText((await openView({ state, decision })).html);
    expect(text).toContain(`Approved by lead@harbor.example${where}`);
    expect(text).not.toContain("Denied by");
  });

  it.each([
    ["proposed", "These rows have changed since the assistant asked,"],
    ["applied", "These rows have changed again since this change was applied."],
  ] as const)("warns about rows that have changed meanwhile when the change is %s", async (state, warning) => {
    expect((await openView({ state, hasDrifted: true })).html).toContain(warning);
    expect((await openView({ state })).html).not.toContain("These rows have changed");
  });
});

describe("the rows of a change", () => {
  it("shows a changed value before and after, marks the part that differs, and shows an unchanged value once", async () => {
    const { html } = await openView({
      columns: [column("id", { isSet: false }), column("title")],
      rows: [{ before: [value(42), value("late order 7")], after: [value(42), value("late order 19")] }],
    });
    expect(readCells(html)).toEqual(["42", "Before late order 7 After late order 19"]);
    expect(html).toContain("late order <mark>7</mark>");
    expect(html).toContain("late order <mark>19</mark>");
  });

  it("names inserted, deleted, changed and unchanged rows", async () => {
    const cells = [value(1), value("open")];
    const { html } = await openView({
      rowCount: 4,
      rows: [
        { before: null, after: cells },
        { before: cells, after: null },
        { before: cells, after: [value(1), value("closed")] },
        { before: cells, after: cells },
      ],
    });
    const rows = [...html.matchAll(/<th scope="row">(.*?)<\/th>/g)].map(([, row = ""]) => readText(row).trim());
    expect(rows).toEqual(["1 New row", "2 Deleted", "3 Changed", "4 Unchanged"]);
  });

  it.each([
    ["NULL", value(null), "<i>NULL</i>"],
    ["the text NULL", value("NULL"), '<bdi class="text">NULL</bdi>'],
    ["empty text", value(""), "<i>empty text</i>"],
    ["white space", value("  "), '<bdi class="text">  </bdi><i>only white space</i>'],
    ["a value that the database sets", { kind: "set by the database" }, "<i>set by the database</i>"],
    ["a value that the viewer does not see", { kind: "not visible" }, "<i>you do not see this</i>"],
  ] as const)("distinguishes %s", async (_name, shown, markup) => {
    const { html } = await openView({ columns: [column("x")], rows: [{ before: null, after: [shown] }] });
    expect(html.match(/<td[^>]*>(.*?)<\/td>/s)?.[1]).toBe(markup);
  });

  it("says the type when a number becomes the same text", async () => {
    const { html } = await openView({
      columns: [column("x")],
      rows: [{ before: [value(5)], after: [value("5")] }],
    });
    expect(readCells(html)).toEqual(["Before 5 number After 5 text"]);
  });

  it("counts a column that the viewer does not see as changed only when the change sets it", async () => {
    const hidden = { kind: "not visible" } as const;
    const rows = [{ before: [hidden], after: [hidden] }];
    expect(readCells((await openView({ columns: [column("x")], rows })).html)).toEqual([
      "Before you do not see this After you do not see this",
    ]);
    const columns = [column("x", { isSet: false })];
    expect(readCells((await openView({ columns, rows })).html)).toEqual(["you do not see this"]);
  });

  it("cuts long text near its difference, with the whole text behind it", async () => {
    const start = "a".repeat(500);
    const { html } = await openView({
      columns: [column("body")],
      rows: [{ before: [value(`${start}1${"z".repeat(500)}`)], after: [value(`${start}2${"z".repeat(500)}`)] }],
    });
    const excerpts = [...html.matchAll(/<bdi class="text excerpt">(.*?)<\/bdi>/g)].map(([, text]) => text);
    expect(excerpts).toEqual([
      `…${"a".repeat(60)}<mark>1</mark>${"z".repeat(179)}…`,
      `…${"a".repeat(60)}<mark>2</mark>${"z".repeat(179)}…`,
    ]);
    expect(html).toContain("All 1,001 characters");
    expect(html).toContain(`${start}<mark>2</mark>${"z".repeat(500)}`);
  });

  it.each([
    ["the first half", "😀", "😁"],
    ["the second half", "\u{1f600}", "\u{1fa00}"],
  ])("marks a whole character when two texts share %s of it", async (_name, before, after) => {
    const { html } = await openView({
      columns: [column("x")],
      rows: [{ before: [value(`a${before}b`)], after: [value(`a${after}b`)] }],
    });
    expect(html).toContain(`a<mark>${before}</mark>b`);
    expect(html).toContain(`a<mark>${after}</mark>b`);
  });

  it("says how many rows are not shown, and why", async () => {
    const text = readText((await openView({ rowCount: 5, unseenRows: 3 })).html);
    expect(text).toContain("3 rows of this change are not shown, because you may not see them.");
    expect(text).toContain("1 more row of this change does not fit on this page.");
    expect(readText((await openView()).html)).not.toMatch(/not shown|does not fit/);
  });

  it("names the columns whose text comes from outside", async () => {
    const { html } = await openView({ columns: [column("id"), column("state", { isUntrusted: true })] });
    expect(readText(html)).toContain("People outside the organisation may have written the text in state.");
    expect((await openView()).html).not.toContain("People outside the organisation may have");
  });
});

describe("text of others on the pages of changes", () => {
  const HOSTILE = "\u202e</bdi></td><script>alert(1)</script><img src=x onerror=alert(1)>";
  const hostile: Partial<ChangeView> = {
    state: "applied",
    dataset: HOSTILE,
    requester: HOSTILE,
    client: HOSTILE,
    reason: HOSTILE,
    explanation: HOSTILE,
    decision: { approves: true, by: HOSTILE, place: "form", atMs: Date.UTC(2026, 10, 27, 11, 0) },
    columns: [column(HOSTILE, { isUntrusted: true })],
    rows: [{ before: [value(HOSTILE)], after: [value(`${HOSTILE} more`)] }],
    mayDecide: { isAllowed: false, why: HOSTILE },
    mayUndo: { isAllowed: false, why: HOSTILE },
  };

  it.each(["applied", "proposed"] as const)("is shown as text on a change that is %s", async (state) => {
    const { html } = await openView({ ...hostile, state });
    expect(html).not.toMatch(/<script|<img/);
    expect(html).not.toContain("\u202e");
    expect(html).toContain("U+202E&lt;/bdi&gt;&lt;/td&gt;&lt;script&gt;");
    // Title, heading, explanation, requester, client, who decided, reason, why not, column (three times), and both values.
    expect(html.split("&lt;script&gt;").length - 1).toBe(13);
  });

  it("is shown as text in the list", async () => {
    const change = buildView({ dataset: HOSTILE, requester: HOSTILE });
    const { send } = await mountChangePages(createMemoryReview(change, { waiting: [change], own: [] }));
    const { html } = await send("/changes");
    expect(html).not.toMatch(/<script|<img|\u202e/);
    expect(html.split("&lt;script&gt;").length - 1).toBe(2);
  });

  it("keeps the lines of a reason apart", async () => {
    expect((await openView({ reason: "first\nsecond\r" })).html).toContain("first\nsecondU+000D");
  });
});

describe("the list of changes", () => {
  const openList = async (lists: ConcerningChanges) => {
    const { send } = await mountChangePages(createMemoryReview(buildView(), lists));
    return send("/changes");
  };

  it("says what will appear when there is nothing yet", async () => {
    const { status, html } = await openList({ waiting: [], own: [] });
    expect(status).toBe(200);
    expect(html).toContain("No change waits for your decision.");
    expect(html).toContain("You have not asked for a change yet.");
  });

  it("shows what each change is, who asked, when it expires and its state, in the order of the review", async () => {
    const { html } = await openList({
      waiting: [buildView({ rowCount: 3 }), buildView({ id: OTHER_ID, undoes: CHANGE_ID, operation: "delete" })],
      own: [buildView({ state: "applied", operation: "insert" })],
    });
    const items = [...html.matchAll(/<li>(.*?)<\/li>/gs)].map(([, item = ""]) => readText(item).trim());
    const asked = "Asked for by analyst@harbor.example , 27 November 2026 at 10:00 UTC";
    const waits = "; expires 28 November 2026 at 10:00 UTC Waits for a decision";
    expect(items).toEqual([
      `Update of 3 rows in shop.tickets ${asked} ${waits}`,
      `Undo of an earlier change: deletion of 1 row from shop.tickets ${asked} ${waits}`,
      `Insertion of 1 row into shop.tickets ${asked} Applied`,
    ]);
    expect(html).toContain(`href="/changes/${OTHER_ID}"`);
  });
});
