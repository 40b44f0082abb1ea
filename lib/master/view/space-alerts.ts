/** What an operator is told of the room in the shared directory, before it is used up and when it is. Pure. */
import type { SpaceReport } from '../../ha/index.ts'
import type { Alert } from '../../web/view.ts'

/** `takeOvers`: there are terms to claim; without high availability there are none. */
export function spaceAlerts(
  space: SpaceReport | null,
  { takeOvers }: { readonly takeOvers: boolean },
): Alert[] {
  if (space === null) return []
  const { freeBytes, totalBytes, freeFiles, totalFiles, need, low, refused } = space
  const uses = takeOvers
    ? 'the next claim of a term, the opening of the catalog and its next checkpoint'
    : "the catalog's next checkpoint"
  const what = `${uses}. Remove or move something, or enlarge it`
  const found: Alert[] = []
  if (refused !== null) {
    const text = `the shared directory takes nothing more${takeOvers ? ', and no master can take over' : ', and no change is kept'}: ${refused}`
    found.push({ kind: 'storage-full', level: 'critical', text })
  }
  if (low.bytes) {
    const text = `the shared directory has ${size(freeBytes)} of ${size(totalBytes)} left, which is below 2 % or below the ${size(need.bytes)} that are kept free for ${what}`
    found.push({ kind: 'storage-low', level: 'warning', text })
  }
  if (low.files && freeFiles !== null) {
    const text = `the shared directory has ${freeFiles} of ${totalFiles} inodes left, which is below 2 % or below the ${need.files} that are kept free for ${what}`
    found.push({ kind: 'storage-low', level: 'warning', text })
  }
  return found
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`
}
