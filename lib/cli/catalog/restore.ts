/**
 * `tajo catalog restore [--term N]`: lists what is whole of a shared catalog whose files were removed or damaged, and brings
 * it back: the newest, or that of term N. Nothing is removed by it, so another choice can follow.
 *
 * It works while masters wait, who claim one term after the other and are refused by the catalog: it takes the next term in
 * its own name, writes there what is brought back, and lets go. Beside an active master it is refused.
 *
 * Which files of a catalog are not where it says, for whoever brings an earlier one back: what was dropped, overwritten or
 * joined into other files since may have been removed. Looks at each file of the tables that are ours, up to a number; one
 * that can't be looked at counts as there.
 */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CatalogState, Restorable, SharedStore } from '../../catalog/index.ts'
import {
  absolutePath,
  CatalogError,
  IDS_OF_THE_LOST,
  isEmptyCatalog,
  sharedStore,
} from '../../catalog/index.ts'
import { loadConfiguration, surroundingsOf } from '../../conf/index.ts'
import { HaError, inToolTerm } from '../../ha/index.ts'
import type { CommandContext } from '../arguments.ts'
import { loadCluster } from '../cluster.ts'
import { useAlone } from '../daemon/rootdir-use.ts'
import { CliError, EXIT, failure, usageError } from '../exit.ts'
import { type Column, json, plain, table } from '../print.ts'
import { orderedBy } from '../sight/admin.ts'
import { lookAround } from '../sight/look-around.ts'
import { timingOf } from '../timing.ts'
import { logTo } from './catalog.ts'

interface MissingFiles {
  readonly files: number
  /** `database.table`, in the order of the catalog. */
  readonly tables: readonly string[]
  /** There are more files than were looked for. */
  readonly cut: boolean
}

const MOST_LOOKS = 100_000
const AT_A_TIME = 16

export async function missingFiles(
  state: CatalogState,
  mostLooks = MOST_LOOKS,
): Promise<MissingFiles> {
  const wanted = filesOf(state)
  const tables = new Set<string>()
  let [looks, files] = [0, 0]
  let cut = false
  const lane = async (): Promise<void> => {
    for (let next = wanted.next(); next.done !== true; next = wanted.next()) {
      if (looks === mostLooks) {
        cut = true
        return
      }
      looks += 1
      const { table, path } = next.value
      if (!(await isGone(path))) continue
      files += 1
      tables.add(table)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return { files, tables: [...tables], cut }
}

function* filesOf(state: CatalogState): Generator<{ table: string; path: string }> {
  for (const table of state.allTables()) {
    if (table.kind === 'external') continue
    const name = `${table.database}.${table.name}`
    for (const { path } of table.files) yield { table: name, path: absolutePath(table, path) }
  }
}

const isGone = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ENOTDIR',
  )

const NAMED = 5

/** For people; null where nothing is missing. */
export function toldMissing({ files, tables, cut }: MissingFiles): string | null {
  if (files === 0) return null
  const more = tables.length > NAMED ? ` and ${tables.length - NAMED} more` : ''
  const least = cut ? 'at least ' : ''
  return `${least}${files} files that it names are gone (dropped, overwritten, or joined into others and kept no longer (tajo.table.compaction.retention-hour), or the warehouse is not mounted on this host): a query of the whole of ${tables.slice(0, NAMED).join(', ')}${more} fails`
}

export async function restore(context: CommandContext): Promise<number> {
  const wanted = wantedTerm(context.options.term)
  const conf = await loadConfiguration(context.confDir, surroundingsOf(context.env))
  const name = conf.get('tajo.catalog.store.class')
  if (name !== 'SharedStore') {
    const text = `tajo.catalog.store.class is ${name}, which keeps one catalog and no earlier terms': restore its own backup, or 'tajo catalog load' a dump`
    throw failure(text)
  }
  const rootDirectory = conf.get('tajo.rootdir')
  const store = sharedStore(rootDirectory, logTo(context.output))
  await refuseActive(context)
  const { restorable, lost } = await store.restorable()
  const rows = restorable.map(rowOf)
  const chosen = choose(restorable, wanted)
  if (!context.json) context.output.out(listed(restorable, lost))
  const whole = await whyDamaged(store, wanted)
  if (whole === null && wanted === null) {
    const sentence =
      restorable.length === 0
        ? 'No master has made a catalog here yet.'
        : 'The catalog is whole: there is nothing to bring back. --term N takes an earlier one.'
    context.output.out(context.json ? json({ restorable: rows, lost, restored: null }) : sentence)
    return EXIT.done
  }
  if (whole !== null && !context.json) context.output.err(`tajo: ${plain(whole)}`)
  if (chosen === null) {
    if (context.json) context.output.out(json({ restorable: rows, lost, restored: null }))
    const which = wanted === null ? 'nothing' : `nothing of term ${wanted}`
    throw failure(`${which} is whole: 'tajo catalog load FILE --force' brings back a dump`)
  }
  const as = { term: chosen.term, part: chosen.part }
  const bring = async (term: number): Promise<string> => {
    // Once more, now that nobody else changes it.
    const again = (await store.restorable()).restorable
    const same = again.find((one) => one.term === as.term && one.part === as.part)
    if (same === undefined) throw failure(`term ${as.term} is not whole any more: try again`)
    const ids = again.map(({ state }) => state.nextTableId)
    const lostIds = whole === null ? 0 : IDS_OF_THE_LOST
    return store.replace(term, same.state.withIdsFrom(Math.max(...ids) + lostIds))
  }
  const term = conf.get('tajo.master.ha.enable')
    ? await inTerm(context, rootDirectory, bring)
    : await alone(context, { rootDirectory, term: Math.max(1, await store.newestTerm()) }, bring)
  const tables = chosen.state.toData().tables.length
  const lossy = chosen.how === null ? '' : ` (${chosen.how})`
  const next = 'the next master that becomes active serves it'
  const missing = await missingFiles(chosen.state)
  const told = toldMissing(missing)
  if (told !== null && !context.json) context.output.err(`tajo: ${plain(told)}`)
  context.output.out(
    context.json
      ? json({ restorable: rows, lost, restored: { ...rowOf(chosen), as: term, missing } })
      : `The catalog of term ${as.term} (part ${as.part}, tables: ${tables}) is brought back as term ${term}${lossy}; ${next}.`,
  )
  return EXIT.done
}

function wantedTerm(option: string | boolean | undefined): number | null {
  if (option === undefined) return null
  const term = Number(option)
  if (typeof option === 'string' && /^\d{1,10}$/.test(option) && term > 0) return term
  throw usageError(`--term needs the number of a term, not '${String(option)}'`)
}

const choose = (found: readonly Restorable[], term: number | null): Restorable | null =>
  found.find((one) => term === null || one.term === term) ?? null

/** Null where a master would open it. Trouble that may pass is no damage: only who names a term takes another one for it. */
async function whyDamaged(store: SharedStore, wanted: number | null): Promise<string | null> {
  try {
    await store.readOnly()
    return null
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error
    const { code, message } = error
    if (code === 'CORRUPT' || (code === 'UNAVAILABLE' && wanted !== null)) return message
    if (code !== 'UNAVAILABLE') throw error
    throw failure(`${message}. This may pass: try again, or take an earlier one with --term N`)
  }
}

/** Goes by the master's own word: what its heartbeat says is judged when the term is taken. */
async function refuseActive(context: CommandContext): Promise<void> {
  const { masters } = await lookAround(await loadCluster(context), () => true)
  const active = masters.find(({ asked }) => asked.answered && asked.answer.state === 'active')
  if (active === undefined) return
  const text = `${active.address} is active and has its catalog open: nothing is restored beside it. Where its tables are not what they should be, stop all masters first (sbin/stop-tajo.sh)`
  throw new CliError(EXIT.unsafe, text)
}

async function inTerm(
  context: CommandContext,
  rootDirectory: string,
  bring: (term: number) => Promise<string>,
): Promise<number> {
  const { timing } = await loadCluster(context)
  const directory = join(rootDirectory, 'system', 'ha')
  const log = logTo(context.output)
  const options = { tool: 'catalog restore', by: orderedBy(), timing, log }
  const { term } = await inToolTerm(directory, options, bring)
  return term
}

/** Without high availability there is one term, and nobody may use the directory meanwhile. */
async function alone(
  context: CommandContext,
  { rootDirectory, term }: { rootDirectory: string; term: number },
  bring: (term: number) => Promise<string>,
): Promise<number> {
  const conf = await loadConfiguration(context.confDir, surroundingsOf(context.env))
  let lost: Error | null = null
  const guard = await useAlone({
    haDirectory: join(rootDirectory, 'system', 'ha'),
    rootDirectory,
    address: 'tajo catalog restore',
    timing: timingOf(conf),
    onLost: (error) => {
      lost = error
    },
  }).catch((error: Error) => {
    throw new HaError('UNSAFE', error.message, { cause: error })
  })
  try {
    await bring(term)
    if (lost !== null) throw lost
    return term
  } finally {
    guard.release()
  }
}

const rowOf = ({ term, part, state, at, how, lossy }: Restorable) => {
  const data = state.toData()
  const tables = data.tables.length
  return { term, part, at, tables, empty: isEmptyCatalog(data), lossy, how }
}

const COLUMNS: readonly Column[] = [
  { title: 'TERM', align: 'right' },
  { title: 'PART', align: 'right' },
  { title: 'BEGUN AT' },
  { title: 'TABLES', align: 'right' },
  { title: 'STATE' },
]

/** All parts that are kept, newest first. */
function listed(
  restorable: readonly Restorable[],
  lost: readonly { term: number; part: number; why: string }[],
): string {
  const rows = [
    ...restorable.map((one) => {
      const { term, part, at, tables, how } = rowOf(one)
      return { term, part, cells: [at ?? '-', String(tables), how ?? 'whole'] }
    }),
    ...lost.map(({ term, part, why }) => ({ term, part, cells: ['-', '-', `lost: ${why}`] })),
  ].sort((a, b) => b.term - a.term || b.part - a.part)
  if (rows.length === 0) return 'No files of any term are there.'
  return table(
    COLUMNS,
    rows.map(({ term, part, cells }) => [String(term), String(part), ...cells]),
  )
}
