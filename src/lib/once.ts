// Work that an isolate does once per environment object.

/**
 * Returns a function that computes its result on the first call for an `env` and hands the same result to later calls.
 * A computation that throws is tried again on the next call. The results hold no request's or person's state.
 */
export function oncePerEnv<E extends object, T>(compute: (env: E) => T): (env: E) => T {
  const results = new WeakMap<E, T>();
  return (env) => {
    const known = results.get(env);
    if (known !== undefined) return known;
    const result = compute(env);
    results.set(env, result);
    return result;
  };
}
