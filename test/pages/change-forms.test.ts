// The forms and addresses of the pages of changes: which they accept, and which they refuse.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { PAGE, mountChangePages, readText, signIn } from "./change-mount.ts";
import { CHANGE_ID, OTHER_ID, PROOF, buildView, createMemoryReview } from "./change-views.ts";

describe("the form that decides a change", () => {
  it.each([
    ["approve", true, "Approved by"],
    ["deny", false, "Denied by"],
  ])("passes on %s with the proof, and comes back to the change", async (decision, approves, label) => {
    const { review, post, send, csrf, subjectId } = await mountChangePages(createMemoryReview(buildView()));
    const { html } = await send(PAGE);
    expect(html).toContain(`name="proof" value="${PROOF}"`);
    expect(html).toContain(`name="decision" value="${decision}"`);
    const { status, location } = await post(`${PAGE}/decision`, { csrf, proof: PROOF, decision });
    expect({ status, location }).toEqual({ status: 302, location: PAGE });
    expect(review.calls).toEqual([
      { method: "decide", subjectId, id: CHANGE_ID, decision: { approves, proof: PROOF } },
    ]);
    expect(readText((await send(PAGE)).html)).toContain(`${label} lead@harbor.example`);
  });

  it("refuses a form that is sent again", async () => {
    const { post, csrf } = await mountChangePages(createMemoryReview(buildView()));
    const fields = { csrf, proof: PROOF, decision: "deny" };
    await post(`${PAGE}/decision`, fields);
    const { status, html } = await post(`${PAGE}/decision`, { ...fields, decision: "approve" });
    expect(status).toBe(409);
    expect(html).toContain("This change was decided before.");
    expect(html).toContain(`<a href="${PAGE}">Look at the change as it is now</a>`);
  });

  it("refuses the proof of another change", async () => {
    const { post, csrf } = await mountChangePages(createMemoryReview(buildView()));
    const { status } = await post(`${PAGE}/decision`, { csrf, proof: "other", decision: "approve" });
    expect(status).toBe(409);
  });

  it("refuses a user who may not decide, also when the form is made by hand", async () => {
    const view = buildView({ mayDecide: { isAllowed: false, why: "Only a reviewer decides this." } });
    const { post, csrf } = await mountChangePages(createMemoryReview(view));
    const { status, html } = await post(`${PAGE}/decision`, { csrf, proof: PROOF, decision: "approve" });
    expect(status).toBe(403);
    expect(html).toContain("Only a reviewer decides this.");
  });

  it.each([
    ["another decision", { decision: "Approve", proof: PROOF }],
    ["an empty decision", { decision: "", proof: PROOF }],
    ["no decision", { proof: PROOF }],
    ["no proof", { decision: "approve" }],
  ])("refuses %s before the review is asked", async (_name, fields) => {
    const { review, post, csrf } = await mountChangePages(createMemoryReview(buildView()));
    const { status, html } = await post(`${PAGE}/decision`, { csrf, ...fields });
    expect(status).toBe(400);
    expect(html).toContain("nothing was decided");
    expect(review.calls).toEqual([]);
  });
});

describe("the form that undoes a change", () => {
  it("leads to the change that takes it back", async () => {
    const view = buildView({ state: "applied", mayUndo: { isAllowed: true } });
    const { review, post, csrf, subjectId } = await mountChangePages(createMemoryReview(view));
    const { status, location } = await post(`${PAGE}/undo`, { csrf });
    expect({ status, location }).toEqual({ status: 302, location: `/changes/${OTHER_ID}` });
    expect(review.calls).toEqual([{ method: "undo", subjectId, id: CHANGE_ID }]);
  });

  it("refuses a user who may not undo it", async () => {
    const { post, csrf } = await mountChangePages(createMemoryReview(buildView({ state: "applied" })));
    const { status, html } = await post(`${PAGE}/undo`, { csrf });
    expect(status).toBe(403);
    expect(html).toContain("It was not applied.");
  });
});

describe.each(["decision", "undo"] as const)("a forged form to /changes/…/%s", (action) => {
  const path = `${PAGE}/${action}`;
  const fields = { proof: PROOF, decision: "approve" };
  const open = async () => mountChangePages(createMemoryReview(buildView({ mayUndo: { isAllowed: true } })));

  it("is refused without the CSRF token, and with a wrong one", async () => {
    const { review, post } = await open();
    for (const forged of [fields, { ...fields, csrf: "" }, { ...fields, csrf: "0".repeat(64) }])
      expect((await post(path, forged)).status).toBe(403);
    expect(review.calls).toEqual([]);
  });

  it("is refused with the CSRF token of another session", async () => {
    const { review, post } = await open();
    const { csrf } = await signIn();
    expect((await post(path, { ...fields, csrf })).status).toBe(403);
    expect(review.calls).toEqual([]);
  });

  it.each(["text/plain", "multipart/form-data; boundary=x", "application/json", ""])(
    "is refused with the content type %j",
    async (type) => {
      const { review, post, csrf } = await open();
      expect((await post(path, { ...fields, csrf }, { type })).status).toBe(400);
      expect(review.calls).toEqual([]);
    },
  );

  it("is refused without a session, with the way back to the change", async () => {
    const { review, post, csrf } = await open();
    const { status, html } = await post(path, { ...fields, csrf }, { cookie: "" });
    expect(status).toBe(403);
    expect(html).toContain(`href="/sign-in?to=${encodeURIComponent(PAGE)}"`);
    expect(review.calls).toEqual([]);
  });

  it("does nothing as a GET", async () => {
    const { review, send, csrf } = await open();
    const query = new URLSearchParams({ ...fields, csrf }).toString();
    expect((await send(`${path}?${query}`)).status).toBe(404);
    expect(review.calls).toEqual([]);
  });
});

describe("access to the pages of changes", () => {
  it.each(["/changes", PAGE])("sends a user who is not signed in from %s to the sign-in and back", async (path) => {
    const { send } = await mountChangePages(createMemoryReview(buildView()));
    const { status, location, html } = await send(path, {}, "");
    expect({ status, location, html }).toEqual({
      status: 302,
      location: `/sign-in?to=${encodeURIComponent(path)}`,
      html: "",
    });
  });

  it("answers an unknown id with 404 and the way to the list", async () => {
    const { send } = await mountChangePages(createMemoryReview(buildView()));
    const { status, html } = await send(`/changes/${OTHER_ID}`);
    expect(status).toBe(404);
    expect(html).toContain("There is no such change, or you may not see it.");
    expect(html).toContain('<a href="/changes">');
  });

  it.each(["x", CHANGE_ID.toUpperCase(), `${CHANGE_ID}0`, CHANGE_ID.slice(1), "%2e%2e", `${CHANGE_ID}%0a`])(
    "does not ask the review about the id %s",
    async (id) => {
      const review = createMemoryReview(buildView({ id }));
      const { send, post, csrf } = await mountChangePages(review);
      expect((await send(`/changes/${id}`)).status).toBe(404);
      const fields = { csrf, proof: PROOF, decision: "approve" };
      for (const action of ["decision", "undo"])
        expect((await post(`/changes/${id}/${action}`, fields)).status).toBe(404);
      expect(review.calls).toEqual([]);
    },
  );

  it.each(["/changes", PAGE, `/changes/${OTHER_ID}`])(
    "lets no other site frame %s, and no cache keep it",
    async (path) => {
      const { send } = await mountChangePages(createMemoryReview(buildView()));
      const { headers, html } = await send(path);
      expect(headers.get("Content-Security-Policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("Content-Security-Policy")).toContain("default-src 'none'");
      expect(headers.get("X-Frame-Options")).toBe("DENY");
      expect(headers.get("Cache-Control")).toBe("no-store");
      expect(html).not.toContain("<script");
    },
  );

  it.each([
    ["limit_reached", 429],
    ["record_full", 503],
    ["paused", 403],
    ["source_unavailable", 503],
  ] as const satisfies readonly (readonly [ErrorCode, number])[])(
    "answers %s with %i and its message on every route",
    async (code, expected) => {
      const fail = async (): Promise<never> => {
        throw new AppError(code, "The message of the error.");
      };
      const review = { ...createMemoryReview(buildView()), list: fail, view: fail, decide: fail, undo: fail };
      const { send, post, csrf } = await mountChangePages(review);
      const fields = { csrf, proof: PROOF, decision: "approve" };
      const responses = [
        await send("/changes"),
        await send(PAGE),
        await post(`${PAGE}/decision`, fields),
        await post(`${PAGE}/undo`, fields),
      ];
      for (const { status, html } of responses) {
        expect(status).toBe(expected);
        expect(html).toContain("The message of the error.");
        expect(html).toMatch(/<p><a href="[^"]+">/);
      }
    },
  );
});
