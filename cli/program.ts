// Builds the program with all its commands.
import packageJson from "../package.json" with { type: "json" };
import { addAudit } from "./commands/audit.ts";
import { addDeploy } from "./commands/deploy.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addExplainQuery } from "./commands/explain-query.ts";
import { addIntrospect } from "./commands/introspect.ts";
import { addMember } from "./commands/member.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addNewTool } from "./commands/new-tool.ts";
import { addOpen } from "./commands/open.ts";
import { addPause } from "./commands/pause.ts";
import { addPolicy } from "./commands/policy.ts";
import { addPush } from "./commands/push.ts";
import { addQuarantine } from "./commands/quarantine.ts";
import { addRemove } from "./commands/remove.ts";
import { addReset } from "./commands/reset.ts";
import { addSetupVoid } from "./commands/setup-void.ts";
import { addStart } from "./commands/start.ts";
import { addToken } from "./commands/token.ts";
import { CliCommand, PROGRAM } from "./kit/command.ts";

/** Creates the program. Its commands appear in the help in the order of a first use. */
export function createProgram(): CliCommand {
  const program = new CliCommand(PROGRAM)
    .description("Gatehouse: a serverless MCP server for an organisation's data.")
    .version(packageJson.version, "-V, --version", "show the version")
    .usage("<command> [options]")
    .examples("npm run gatehouse -- introspect crm.sqlite", "npm run gatehouse -- member add --help");
  for (const add of [addStart, addIntrospect, addOpen, addPolicy, addExplainQuery, addMember, addToken]) add(program);
  for (const add of [addAudit, addPause, addPush, addDeploy, addDoctor, addMigrate, addSetupVoid, addQuarantine])
    add(program);
  for (const add of [addRemove, addReset, addNewTool]) add(program);
  return program;
}
