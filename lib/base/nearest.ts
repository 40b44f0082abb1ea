/** Which of the allowed words was probably meant: for "unknown X, did you mean Y?". */

/** Counts the edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** The allowed word nearest to `word`, or null when none is near enough to be meant. Case doesn't count. */
export function nearest(word: string, allowed: readonly string[]): string | null {
  const typed = word.toLowerCase().slice(0, 100)
  let found: { word: string; distance: number } | null = null
  for (const candidate of allowed) {
    const distance = editDistance(typed, candidate.toLowerCase())
    const starts = typed.length >= 3 && candidate.toLowerCase().startsWith(typed)
    const near = starts || distance <= Math.max(1, Math.floor(candidate.length / 3))
    if (near && (found === null || distance < found.distance)) found = { word: candidate, distance }
  }
  return found?.word ?? null
}
