/** The changelog's part in a release. Pure. */

const UNRELEASED = /^## (\d+\.\d+\.\d+) \(unreleased\)$/m

/** The heading of what is not released yet gets the version and the day (UTC). Throws where there is none. */
export function released(changelog: string, version: string, day: Date): string {
  if (!UNRELEASED.test(changelog)) {
    throw new Error('CHANGELOG.md has no heading such as "## 0.2.0 (unreleased)"')
  }
  return changelog.replace(UNRELEASED, `## ${version} (${day.toISOString().slice(0, 10)})`)
}

/** Both are three numbers with dots between them. */
export function isLater(version: string, other: string): boolean {
  const [ours, theirs] = [version, other].map((text) => text.split('.').map(Number))
  for (const [at, number] of (ours ?? []).entries()) {
    const difference = number - (theirs?.[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}
