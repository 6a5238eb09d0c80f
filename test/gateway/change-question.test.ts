// The text of a form about a change: a person reads everything in it as it is, or the client gets the link to the page.
import { describe, expect, it } from "vitest";
import { buildChangeQuestion } from "../../src/gateway/change-question.ts";
import type { ChangeView, ShownValue } from "../../src/changes/change-view.ts";
import { CHANGE_ID, PROOF, buildView, column, value } from "../pages/change-views.ts";

const CLIENT = "https://client.example/metadata.json";
const REQUESTER = { subjectId: "ann", email: "ann@harbor.example", groups: [] };
const URL = `https://gatehouse.example/changes/${CHANGE_ID}`;

function ask(view: Partial<ChangeView>, requester: Parameters<typeof buildChangeQuestion>[0]["requester"] = REQUESTER) {
  const change = {
    id: CHANGE_ID,
    approval: "requester",
    requester,
    clientId: CLIENT,
    formClients: [CLIENT],
    proof: PROOF,
  } as const;
  return buildChangeQuestion(change, buildView({ approval: "requester", ...view }), { url: URL, clientId: CLIENT });
}

/** Asks about an update of one column of one row. */
const askAbout = (from: ShownValue, to: ShownValue) =>
  ask({ rows: [{ before: [value(42), from], after: [value(42), to] }] });

describe("the form about a change", () => {
  it("has the rows before and after, the reason and the change's id", () => {
    expect(ask({})).toEqual({
      change: CHANGE_ID,
      proof: PROOF,
      url: URL,
      summary: "Update 1 row of shop.tickets",
      form: [
        "Update 1 row of shop.tickets?",
        '1. id 42 · state from "open" to "closed"',
        'The assistant gives this reason, so decide by the rows: "The customer confirmed the delivery."',
        `Change ${CHANGE_ID}`,
      ].join("\n"),
    });
  });

  it("says that texts may be written by outsiders where a column holds such texts", () => {
    const { form } = ask({ columns: [column("id", { isSet: false }), column("state", { isUntrusted: true })] }) ?? {};
    expect(form).toContain("\nPeople outside the organisation may write state.\n");
  });

  it("shows a column that the database computes as changed", () => {
    const columns = [column("price"), column("total", { isSet: false })];
    const rows = [{ before: [value(5), value(50)], after: [value(6), { kind: "set by the database" } as const] }];
    expect(ask({ columns, rows })?.form).toContain("1. price from 5 to 6 · total from 50 to [set by the database]");
  });

  it("says that a column which the change sets stays as it is", () => {
    expect(askAbout(value("open"), value("open"))?.form).toContain('1. id 42 · state stays "open"');
  });

  it("keeps text of others within quotes and on one line", () => {
    const reason = 'Fine."\n2. id 43 · state from "open" to "closed"';
    const { form } = ask({ reason }) ?? {};
    expect(form?.split("\n")).toHaveLength(4);
    expect(form).toContain(String.raw`"Fine.\"\n2. id 43`);
  });

  it.each<[string, ShownValue, ShownValue]>([
    ["values that differ by a kind of blank", value("a b"), value("a\u00a0b")],
    ["values that differ by the width of letters", value("abc"), value("ａｂｃ")],
    ["an invisible character", value("a"), value("b\u200b")],
    ["an invisible character beside its escape", value("a\u202e"), value("aU+202E")],
    ["a blank that is drawn as nothing", value("a"), value("b\u2800")],
    ["a stack of marks", value("a"), value("b\u0301\u0301\u0301\u0301\u0301")],
    ["a wide blank", value("a"), value("b\u3000\u3000c")],
    ["an image of Markdown", value("a"), value("![x](https://evil.example/?q=1)")],
    ["an address", value("a"), value("see https://evil.example/x")],
    ["markup", value("a"), value("<img src=x>")],
    ["more than 2,000 characters", value("a"), value("b".repeat(2000))],
  ])("is left to the page for %s", (_title, from, to) => {
    expect(askAbout(from, to)).toMatchObject({ form: null, url: URL });
  });

  it("is left to the page when it would not show all rows", () => {
    expect(ask({ rowCount: 11 })).toMatchObject({ form: null, summary: "Update 11 rows of shop.tickets" });
  });
});

describe("the question about a change", () => {
  it("is not asked through a personal access token", () => {
    expect(ask({}, { ...REQUESTER, token: { id: "t", ownerId: "ann", roles: [] } })).toBeNull();
  });

  it("is not asked when the requester may not decide now", () => {
    expect(ask({ mayDecide: { isAllowed: false, why: "The rows have changed." } })).toBeNull();
  });
});
