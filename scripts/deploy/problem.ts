// What the person who deploys has to mend.

/** Shown without a stack. */
export class DeployProblem extends Error {}
