// Runs work once per environment object of an isolate.

/**
 * Returns a function that computes its result on the first call for an `env` and returns the same result to later calls.
 * A computation that throws runs again on the next call. Results must not hold the state of a request or user.
 */
export function memoizePerEnv<E extends object, T>(compute: (env: E) => T): (env: E) => T {
  const results = new WeakMap<E, T>();
  return (env) => {
    const cachedResult = results.get(env);
    if (cachedResult !== undefined) return cachedResult;
    const result = compute(env);
    results.set(env, result);
    return result;
  };
}
