// The error for problems that the operator must fix before a deployment can go on.

/** A problem with the configuration or the account. Printed without a stack. */
export class DeployProblem extends Error {}
