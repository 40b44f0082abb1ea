/** Work on many things, a few at a time: each is a file call or some, and a keeper has few threads for them. */
export async function atOnce<T, R>(
  most: number,
  things: readonly T[],
  work: (thing: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const left = things.entries()
  const one = async (): Promise<void> => {
    for (const [i, thing] of left) results[i] = await work(thing)
  }
  await Promise.all(Array.from({ length: Math.min(most, things.length) }, one))
  return results
}
