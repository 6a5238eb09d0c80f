// Tells an instruction that is refused on purpose from one that this version has never heard of: the second means that the
// platform runs a newer SQLite, and that queries fail until its instruction is looked at.
import type { Instruction } from "./verify.ts";
import type { DefenceCode, Refusal } from "./defence.ts";

/** Instructions of SQLite 3.53 and before that no query may have, or only for what is its own. */
const KNOWN = new Set(
  (
    "Transaction OpenRead ReopenIdx VOpen Insert Delete IdxInsert IdxDelete NewRowid SorterInsert Clear OpenWrite OpenTempTable " +
    "Savepoint AutoCommit Vacuum IncrVacuum Checkpoint JournalMode ReadCookie SetCookie CreateBtree Destroy ParseSchema LoadAnalysis " +
    "DropTable DropIndex DropTrigger IntegrityCk SqlExec Program Param FkCounter FkIfZero FkCheck MemMax ResetCount " +
    "VBegin VCreate VDestroy VCheck VRename VUpdate Pagecount MaxPgcnt CursorLock CursorUnlock TableLock CursorHint Expire"
  ).split(" "),
);

/** A program of no instructions: the platform has changed what EXPLAIN gives. */
export const NO_PROGRAM: Instruction = { opcode: "none", p1: 0, p2: 0, p3: 0 };

/** The refusal of a program for this instruction. */
export function opcodeRefusal({ opcode }: Instruction): Refusal {
  const code: DefenceCode = KNOWN.has(opcode) ? "forbidden_opcode" : "unknown_opcode";
  return { code, detail: opcode };
}
