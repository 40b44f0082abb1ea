/**
 * INSERT OVERWRITE INTO LOCATION that is decided and not carried out yet: its result will take the directory's place, and
 * what stands there, above or below it is moved. Whoever would change a table whose files are there waits for that, and so
 * does another result for a directory around it or inside. Of one and the same directory they take turns anyway
 * (publisher.ts). Pure.
 */
import { FileList } from '../../../catalog/file-list.ts'
import type { Change, Publication, Transaction } from '../../../catalog/model.ts'
import { absolutePath, type CatalogState } from '../../../catalog/state.ts'
import { Held } from './holds.ts'
import { overlap } from '../statements/paths.ts'

/** Throws Held. `now` is the newest state at any time. */
export function refuseMoving(
  state: CatalogState,
  { changes }: Pick<Transaction, 'changes'>,
  now: () => CatalogState,
): void {
  const moving = state.publications()
  if (moving.length === 0) return
  for (const change of changes) {
    const one = moving.find((publication) => meets(state, change, publication))
    if (one !== undefined) throw movedBy(one, now)
  }
}

function movedBy({ queryId, location }: Publication, now: () => CatalogState): Held {
  const does = `puts its result in the place of '${location}'`
  const isOver = (): boolean =>
    now()
      .publications()
      .every((one) => one.queryId !== queryId)
  return new Held({ queryId, does, what: does, isOver })
}

const meets = (state: CatalogState, change: Change, { location }: Publication): boolean =>
  change.do === 'publish'
    ? change.publication.location !== location && overlap(change.publication.location, location)
    : placesOf(state, change).some((path) => overlap(path, location))

function placesOf(state: CatalogState, change: Change): string[] {
  if (change.do === 'create-table') return [change.table.location]
  const table = 'tableId' in change ? state.table(change.tableId) : null
  if (table === null) return []
  const files = change.do === 'write' ? FileList.of(change.files) : FileList.EMPTY
  // The others lie below the table's location, and there may be a million of them.
  const elsewhere = files.outside === 0 ? [] : [...files]
  return [table.location, ...elsewhere.map(({ path }) => absolutePath(table, path))]
}
