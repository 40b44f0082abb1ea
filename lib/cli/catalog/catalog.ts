/**
 * `tajo catalog dump [FILE]` and `tajo catalog load FILE` (`restore` is in restore.ts): the whole catalog as one JSON document, for backup and for
 * moving to another store.
 *
 * A dump takes nothing over and may run beside an active master. A load is for a stopped cluster: it is refused while
 * any master lives, and for a catalog that holds something, unless `--force` says that it may be replaced. It is a
 * take-over in the tool's name, under the newest term, so the next master reads it.
 *
 * What goes wrong with a catalog that a command has open, for whoever typed it.
 */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { forPeople, type Log } from '../../base/log.ts'
import { whyNotThere } from '../../base/there.ts'
import {
  type Binding,
  type CatalogData,
  CatalogError,
  CatalogState,
  type Commit,
  Draft,
  DumpReader,
  dumpLines,
  IDS_OF_THE_LOST,
  isEmptyCatalog,
  type ReadableStore,
} from '../../catalog/index.ts'
import { loadConfiguration, surroundingsOf } from '../../conf/index.ts'
import { syncIfKnown, withFile } from '../../ha/index.ts'
import type { CommandContext, Run } from '../arguments.ts'
import { loadCluster } from '../cluster.ts'
import { configuredStore } from '../daemon/configured-store.ts'
import { requireRootdir } from '../daemon/default-rootdir.ts'
import { askDirectory } from '../daemon/directory.ts'
import { noteLoaded } from '../daemon/other-catalogs.ts'
import { CliError, EXIT, failure, usageError } from '../exit.ts'
import { json, type Output } from '../print.ts'
import { orderedBy } from '../sight/admin.ts'
import { allAnswer, lookAround } from '../sight/look-around.ts'

export const logTo =
  (output: Output): Log =>
  (level, message, facts) => {
    if (level !== 'warn' && level !== 'error') return
    output.err(`tajo: ${forPeople(message, facts)}`)
  }

export const run: Run = async (context) => {
  const [verb, file] = context.args
  refuseForeign(context, verb)
  if (verb === 'dump') return dump(context, file ?? null)
  if (verb === 'restore') return restoreAs(context, file)
  if (verb !== 'load') {
    throw usageError(`'tajo catalog' can dump, load and restore, not '${verb}'`)
  }
  if (file === undefined) throw usageError("'tajo catalog load' needs the file to load")
  const code = await load(context, file, context.options.force === true)
  noteLoaded(await loadConfiguration(context.confDir, surroundingsOf(context.env)))
  return code
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  dump: [],
  load: ['force'],
  restore: ['term'],
}

/** An option of another verb would be passed over without a word. */
function refuseForeign({ options }: CommandContext, verb: string | undefined): void {
  const own = OPTIONS[verb ?? '']
  const foreign = Object.keys(options).find((name) => own !== undefined && !own.includes(name))
  if (foreign === undefined || options[foreign] === false) return
  throw usageError(`'tajo catalog ${verb}' has no option --${foreign}`)
}

async function restoreAs(context: CommandContext, file: string | undefined): Promise<number> {
  if (file !== undefined) {
    const text = `'tajo catalog restore' takes no file: '${file}' is one for 'tajo catalog load', a term is --term N`
    throw usageError(text)
  }
  return (await import('./restore.ts')).restore(context)
}

async function dump(context: CommandContext, file: string | null): Promise<number> {
  const { store, name } = await storeFor(context, { clusterId: null })
  try {
    const { data } = await store.readOnly({ besideMasters: true })
    const text = dumpLines(data, new Date())
    if (file === null) {
      for (const lines of text) context.output.out(lines)
      return EXIT.done
    }
    const path = resolve(file)
    await writeWhole(path, text)
    const counts = { databases: data.databases.length, tables: data.tables.length }
    const sentence = `databases: ${counts.databases}, tables: ${counts.tables}, of ${name} are in ${path}`
    context.output.out(context.json ? json({ file: path, ...counts }) : sentence)
    return EXIT.done
  } finally {
    await store.close()
  }
}

async function load(context: CommandContext, file: string, force: boolean): Promise<number> {
  const data = await readDump(file)
  const haTerm = await refuseLiving(context)
  const ours = await ownCluster(context)
  const { store, name } = await storeFor(context, { clusterId: ours, rebinds: force })
  try {
    const renewed = (): Promise<void> => requireAlone(context, haTerm)
    const from = { store, force, renewed }
    const kept = await unlessDamaged(from, () => store.readOnly())
    if (kept === null) {
      const term = Math.max(1, haTerm, (await store.newestTerm?.()) ?? 0)
      return await replaced(context, { store, name, data, term })
    }
    if (!force && !isEmptyCatalog(kept.data)) {
      const tables = kept.data.tables.length
      const text = `${name} holds a catalog already (${tables} tables): --force replaces it; dump it first`
      throw new CliError(EXIT.unsafe, text)
    }
    const theirs = (await store.origin?.())?.clusterId ?? null
    const isTaken = theirs !== null && theirs !== ours
    if (isTaken && !force) {
      const us = ours === null ? 'no master has formed this one yet' : `this is cluster ${ours}`
      const text = `${name} holds the catalog of cluster ${theirs}, and ${us}: --force takes it over, when no master of that cluster lives any more; dump it first`
      throw new CliError(EXIT.unsafe, text)
    }
    // The numbers of another cluster's terms say nothing of ours; files are named by them.
    const before = isTaken && name !== 'SharedStore' ? 0 : kept.term
    const term = Math.max(1, before, haTerm)
    const opened = await unlessDamaged(from, () => store.open(term, NEVER, { renewed }))
    if (opened === null) return await replaced(context, { store, name, data, term })
    const draft = Draft.of(opened.state)
    const by = `tajo catalog load by ${orderedBy()}`
    // Workers may outlive the load, and come with writes to tables that it has removed.
    const nextTableId = Math.max(data.nextTableId, opened.state.nextTableId)
    const loaded = { do: 'load', data: { ...data, nextTableId } } as const
    const one = { by, atMs: Date.now(), changes: [loaded], outcome: null }
    draft.apply(one)
    const { state: after, delta } = draft.seal()
    // As a change it would be one record of the journal, which the next master reads in one piece.
    if (name === 'SharedStore') await store.replace?.(term, after)
    else await store.append({ firstSeq: opened.seq + 1, transactions: [one], delta, after })
    await refuseOvertaken(context, term)
    const counts = { databases: data.databases.length, tables: data.tables.length }
    const sentence = `${name} now holds databases: ${counts.databases}, tables: ${counts.tables}`
    context.output.out(context.json ? json({ ...counts, epoch: term }) : sentence)
    return EXIT.done
  } finally {
    await store.close()
  }
}

const NEVER = new AbortController().signal

/**
 * A load holds no lease that could be renewed, but it is alone. What looks like damage, or like nothing, may be what a master
 * that was started meanwhile has replaced: then that is told.
 */
async function requireAlone(context: CommandContext, haTerm: number): Promise<void> {
  if ((await refuseLiving(context)) > haTerm) throw failure(OVERTAKEN)
}
const OVERTAKEN = 'a master was started meanwhile and may have the old catalog: stop it, load again'

/** Null for a damaged one that may be replaced; what can be read may be older than what has been served. */
async function unlessDamaged<T>(
  { store, force, renewed }: { store: ReadableStore; force: boolean; renewed: Commit },
  read: () => Promise<T>,
): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    const damaged = CatalogError.is(error, 'CORRUPT')
    if (!damaged) throw error
    await renewed()
    if (force && store.replace !== undefined) return null
    throw new CliError(EXIT.unsafe, `${error.message}. --force puts the dump in its place`)
  }
}

interface Replaced {
  readonly store: ReadableStore
  readonly name: string
  readonly data: CatalogData
  readonly term: number
}

/** Replaces it without reading what can't be read. */
async function replaced(context: CommandContext, { store, name, data, term }: Replaced) {
  const state = CatalogState.from(data)
  await store.replace?.(term, state.withIdsFrom(state.nextTableId + IDS_OF_THE_LOST))
  await refuseOvertaken(context, term)
  const counts = { databases: data.databases.length, tables: data.tables.length }
  const sentence = `${name} now holds databases: ${counts.databases}, tables: ${counts.tables}`
  context.output.out(context.json ? json({ ...counts, epoch: term }) : sentence)
  return EXIT.done
}

/** Finds the newest term; refuses while any master lives, by its heartbeat or by its own answer. */
async function refuseLiving(context: CommandContext): Promise<number> {
  const { masters, picture, directoryError } = await lookAround(
    await loadCluster(context),
    allAnswer,
  )
  const alive = masters.filter((one) => one.asked.answered || one.inspected?.pulse === 'live')
  if (alive.length > 0) {
    const names = alive.map(({ address }) => address).join(', ')
    const text = `masters are alive: ${names}; stop them first (sbin/stop-tajo.sh), then load`
    throw new CliError(EXIT.unsafe, text)
  }
  if (picture !== null) return picture.epoch
  throw new CliError(EXIT.unsafe, `whether a master lives can't be told: ${directoryError}`)
}

/** A master that was started in the middle may have read the catalog before it was loaded. */
async function refuseOvertaken(context: CommandContext, term: number): Promise<void> {
  const { picture } = await lookAround(await loadCluster(context), () => true)
  if (picture === null || picture.epoch <= term) return
  throw failure(OVERTAKEN)
}

/** Null: no master has formed it yet. */
async function ownCluster(context: CommandContext): Promise<string | null> {
  const { haDirectory: directory } = await loadCluster(context)
  return askDirectory({ op: 'cluster', directory }, DIRECTORY_MS)
}
const DIRECTORY_MS = 30_000

async function storeFor({ confDir, home, env, output }: CommandContext, binding: Binding) {
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  requireRootdir(conf, home)
  const store = await configuredStore(conf, { binding, log: logTo(output) })
  return { store, name: conf.get('tajo.catalog.store.class') }
}

async function readDump(file: string): Promise<CatalogData> {
  const reader = new DumpReader()
  try {
    for await (const text of createReadStream(file, 'utf8')) reader.push(String(text))
  } catch (error) {
    if (error instanceof CatalogError) throw error
    throw failure(`can't read ${file}: ${messageOf(error)}`, error)
  }
  return reader.end()
}

/** Writes it as a whole or not at all: a dump that found no space must not replace the one before it. */
async function writeWhole(path: string, batches: Iterable<string>): Promise<void> {
  const beside = join(path, '..', `.${randomUUID()}.tmp`)
  try {
    const file = await open(beside, 'wx', 0o600)
    const bytes = await withFile(file, async () => {
      for (const lines of batches) await file.appendFile(`${lines}\n`)
      await file.sync()
      return (await file.stat()).size
    })
    await rename(beside, path)
    const directory = await open(dirname(path))
    await withFile(directory, () => syncIfKnown(directory))
    const why = await whyNotThere(path, bytes)
    if (why !== null) throw new Error(why)
  } catch (error) {
    await rm(beside, { force: true })
    throw failure(`can't write ${path}: ${messageOf(error)}`, error)
  }
}
