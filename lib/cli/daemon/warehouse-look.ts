/**
 * A master's look at the tables' directory, which may be another mount than the one of `system/`: where it hangs, fails or
 * is not mounted, nobody but the queries would tell. It looks once a period, one call at a time.
 *
 * It is made by the first table, so a missing or empty one is nothing wrong, unless the catalog has tables with files in
 * it.
 */
import { readdir } from 'node:fs/promises'
import type { Log } from '../../base/log.ts'
import { StorageLook } from '../../base/storage-look.ts'
import type { Clock } from '../../base/time.ts'
import { WAREHOUSE_PROOF } from '../../catalog/index.ts'
import { missingFrom } from '../../master/index.ts'

interface WarehouseLookOptions {
  readonly directory: string
  /** `<rootdir>/system`. */
  readonly systemDirectory: string
  readonly host: string
  /** Does the catalog name a file below it? False where this master does not know. */
  readonly isUsed: () => boolean
  readonly everyMs: number
  /** A look that takes longer hangs. */
  readonly limitMs: number
  readonly clock: Clock
  readonly log: Log
}

export class WarehouseLook {
  readonly #options: WarehouseLookOptions
  readonly #look: StorageLook

  constructor(options: WarehouseLookOptions) {
    this.#options = options
    this.#look = new StorageLook({
      ...options,
      means: 'queries on tables fail, or hang',
      look: () => this.#list(),
      onChange: () => {},
    })
  }

  start(): void {
    this.#look.start()
  }

  stop(): void {
    this.#look.stop()
  }

  /** A sentence that names directory and host; none while it answers. */
  get warnings(): readonly string[] {
    const { trouble } = this.#look
    const { directory, host } = this.#options
    if (trouble === null) return []
    return [
      `the tables' directory ${directory} (tajo.warehouse.directory) can't be used on ${host}, and queries on tables fail or hang: ${trouble}`,
    ]
  }

  async #list(): Promise<void> {
    const { directory, systemDirectory, isUsed } = this.#options
    const missing = await missingFrom(systemDirectory, directory)
    if (missing !== null) {
      throw new Error(
        `${missing}, which the active master has made there, is not here: is it mounted?`,
      )
    }
    const names = await readdir(directory).catch(noneIfMissing)
    // What proves to workers that it is the cluster's is no table.
    if (names?.some((name) => name !== WAREHOUSE_PROOF)) return
    if (!isUsed()) return
    const how = names === null ? 'is not there' : 'is empty'
    throw new Error(
      `${directory} ${how}, and the catalog has tables with files in it: is it mounted?`,
    )
  }
}

function noneIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
