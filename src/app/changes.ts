// Opens what changes need in an environment: proposals, views and the review for the gateway and the pages, the options of ChangeObject,
// the messages to reviewers, and the upkeep of the images in the sources.
import type { WithAudit } from "../audit/audit.ts";
import { createAuthorize, createRecord } from "../changes/apply-rights.ts";
import type { ChangeOptions } from "../changes/change-object.ts";
import { createChangeProposals } from "../changes/change-proposals.ts";
import { openChangeRegistry } from "../changes/change-registry-store.ts";
import { createChangeReview } from "../changes/change-review.ts";
import { createChangeTables } from "../changes/change-tables.ts";
import type { ChangeTables } from "../changes/change-tables.ts";
import type { ChangeReview } from "../changes/change-view.ts";
import { createChangeViewer } from "../changes/change-viewer.ts";
import { openReviewerNotifications } from "../changes/notifications/reviewer-notifications.ts";
import type { ReviewerNotifications } from "../changes/notifications/reviewer-notifications.ts";
import { parseEnv } from "../config/define-gatehouse.ts";
import type { Gatehouse } from "../config/define-gatehouse.ts";
import { changeUri } from "../gateway/change.ts";
import type { ChangeServices } from "../gateway/change.ts";
import { datasetUri } from "../gateway/visible-datasets.ts";
import { newId } from "../lib/ids.ts";
import { createGrantStore } from "../oauth/grants/grant-kv-store.ts";
import { findClientNames } from "../oauth/clients/client-directory.ts";
import { settleAll } from "../lib/settle-all.ts";
import type { Hub } from "../mcp/subscriptions/hub.ts";
import { openMemberStore } from "../members/member-store.ts";
import { openPatStore } from "../personal-access-tokens/pat-store.ts";
import type { Source } from "../read/source.ts";
import { deleteOldImages, findChangeTablesFault } from "../tables/change-cleanup.ts";
import { logError, logWarning, openLedgers } from "./bindings.ts";
import { requireD1 } from "./open-sources.ts";

/** The services of the gateway, with what the review and the objects share with them. */
export interface OpenedChanges extends ChangeServices {
  readonly tables: ChangeTables;
  readonly notifications: ReviewerNotifications;
}

/** Opens the services. Throws `TypeError` for a wrong setting of the messages to reviewers. */
export function openChanges({ policy, limits }: Gatehouse, env: Env, sources: readonly Source[]): OpenedChanges {
  const tables = createChangeTables(policy, sources);
  const openChange: ChangeServices["openChange"] = (id) => env.CHANGE.get(env.CHANGE.idFromName(id));
  const registry = openChangeRegistry(env.GATEHOUSE_DB);
  const shared = { tables, limits, now: Date.now };
  return {
    tables,
    notifications: openNotifications(env),
    openChange,
    now: Date.now,
    proposals: createChangeProposals({ ...shared, registry, openChange, newId }),
    viewer: createChangeViewer(shared),
    async listChanged(datasets, sinceMs) {
      const changeable = datasets.filter((dataset) => policy.changeRules.some((rule) => rule.dataset === dataset));
      if (changeable.length === 0) return [];
      const changed = await registry.listChangedSince(changeable, sinceMs);
      return [...changed].map(([dataset, atMs]) => `${dataset}: ${new Date(atMs).toISOString()}`);
    },
    origin: parseEnv(env).origin,
  };
}

/** Opens the review of a signed-in user. */
export function openChangeReview(env: Env, changes: OpenedChanges, withAudit: WithAudit): ChangeReview {
  return createChangeReview({
    ...changes,
    withAudit,
    registry: openChangeRegistry(env.GATEHOUSE_DB),
    findClientNames: async (ids) => findClientNames(createGrantStore(env.GRANT), ids),
  });
}

/** Builds the options of ChangeObject. */
export function buildChangeOptions(
  { policy, limits }: Gatehouse,
  env: Env,
  changes: OpenedChanges,
  hub: Hub,
): ChangeOptions {
  const { tables, notifications } = changes;
  const members = openMemberStore(env.GATEHOUSE_DB);
  const registry = openChangeRegistry(env.GATEHOUSE_DB);
  const pats = openPatStore(env.GATEHOUSE_DB);
  return {
    openTarget: (source) => tables.openTarget(source),
    approvalSeconds: limits.approvalSeconds,
    retentionSeconds: limits.undoSeconds + ENDED_CHANGE_RETENTION_SECONDS,
    forget: async (id) => registry.forget(id),
    record: createRecord({ openLedger: openLedgers(env), now: Date.now }),
    authorize: createAuthorize({
      policy,
      tables,
      openLedger: openLedgers(env),
      findUser: async (subjectId) => members.findSubject(subjectId),
      readMember: async (email) => members.read(email),
      async isPatActive(ownerId, patId) {
        const pat = (await pats.list(ownerId)).find(({ id }) => id === patId);
        return pat !== undefined && pat.revokedMs === null && pat.expiresMs > Date.now();
      },
      newId,
    }),
    async publish(change) {
      await registry.publish(change);
      await hub.resourceUpdated(changeUri(change.id));
      const table = tables.find(change.terms.dataset);
      if (change.state === "applied" && table !== undefined) await hub.resourceUpdated(datasetUri(table.dataset));
      if (change.state === "proposed" && change.approval === "reviewer")
        return notifications.enqueue({ id: change.id, dataset: change.terms.dataset });
      await notifications.withdraw(change.id);
      return undefined;
    },
    sendNotifications: async () => notifications.sendDue(),
    onError: (error) => logError("change", error),
  };
}

function openNotifications(env: Env): ReviewerNotifications {
  return openReviewerNotifications({
    database: env.GATEHOUSE_DB,
    environment: env,
    origin: parseEnv(env).origin,
    now: Date.now,
    fetch,
    log: logWarning,
  });
}

/** How long an ended change that cannot be undone any more stays on the pages and keeps its idempotency key. */
const ENDED_CHANGE_RETENTION_SECONDS = 90 * 86_400;

/** Deletes images that nothing needs. Fails for a database that lacks the tables of changes although a rule needs them. */
export async function maintainChanges({ policy, limits }: Gatehouse, env: Env): Promise<void> {
  const registry = openChangeRegistry(env.GATEHOUSE_DB);
  await registry.removeUnstored(Date.now());
  const declarations = policy.sources.filter(({ kind }) => kind === "d1");
  // One that fails does not stop the others.
  await settleAll(declarations, async (declaration) => {
    const database = requireD1(declaration, env);
    const fault = await findChangeTablesFault(database);
    const isNeeded = policy.changeRules.some(({ dataset }) => dataset.startsWith(`${declaration.name}.`));
    if (fault !== undefined && isNeeded) throw new Error(`sources.${declaration.name}: ${fault}`);
    if (fault !== undefined) return;
    await deleteOldImages({
      database,
      listClosed: async (ids) => registry.listClosed(ids, Date.now()),
      undoableSinceMs: Date.now() - limits.undoSeconds * 1000,
    });
  });
}
