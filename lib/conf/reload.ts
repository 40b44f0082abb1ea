/**
 * Notices changes of the site files and of `conf/masters` while a daemon runs.
 *
 * chokidar watches the directory rather than the files: editors and deployment tools replace a file by renaming
 * another over it. An event only says "look": what counts is the files' content. Its raw events are used, because it
 * drops a change that follows another within 50 ms. A broken file leaves the running configuration as it is and is
 * reported once; when it is mended that is told too. No event comes for what another host changes on a network file
 * system, nor when the directory itself is exchanged: `check()` looks at once, for SIGHUP.
 */
import { OwnPlaceError } from '../base/own-place.ts'
import type { Configuration } from './configuration.ts'
import { formatValue } from './configuration.ts'
import { ConfError } from './error.ts'
import { ALL_KEYS, type Key, specOf } from './keys.ts'
import { buildConfiguration, readSiteFiles, type Surroundings } from './load.ts'
import { type HostList, readMasters } from './masters.ts'

interface ChangedKey {
  readonly key: Key
  readonly from: string
  readonly to: string
}

export type ReloadEvent =
  | {
      readonly kind: 'changed'
      /** In force from now on: reloadable keys as in the files, all others as the daemon was started with. */
      readonly configuration: Configuration
      readonly masters: HostList
      /** Set when the list of masters changed. */
      readonly mastersBefore: HostList | null
      /** Values that this change altered and that are in force now. Secrets are shown as such. */
      readonly reloaded: readonly ChangedKey[]
      /** Every value that differs from the running one and needs a restart. */
      readonly needRestart: readonly ChangedKey[]
      /** Those of them that no file sets: their defaults follow another key. */
      readonly derived: readonly Key[]
    }
  | { readonly kind: 'refused'; readonly error: ConfError }
  /** The files are right again and say what is in force. */
  | { readonly kind: 'mended' }
  /** No more events will come: changes are noticed by `check()` only. */
  | { readonly kind: 'blind'; readonly why: string }

interface ReloadOptions {
  readonly running: Configuration
  readonly masters: HostList
  readonly surroundings: Surroundings
  readonly onEvent: (event: ReloadEvent) => void
  /** Throws where what the files say may not be taken from them. */
  readonly judge?: (inFiles: Configuration) => void
  /** How long the directory must be quiet after an event; 200 ms when left out. */
  readonly settleMs?: number
}

export interface Reloader {
  /** Looks now. Never rejects: what is wrong comes as an event. */
  check(): Promise<void>
  close(): Promise<void>
}

const SETTLE_MS = 200

/** Begins to watch `running.confDir`; resolves when every later change will be noticed. */
export async function watchConfiguration(options: ReloadOptions): Promise<Reloader> {
  // Not needed by commands that only read the configuration once.
  const { watch } = await import('chokidar')
  const { confDir } = options.running
  const state = new ReloadState(options)
  const watcher = watch(confDir, { depth: 0, ignoreInitial: true, usePolling: false })
  const look = whenQuiet(options.settleMs ?? SETTLE_MS, () => void state.check())
  watcher.on('raw', look.soon)
  await new Promise<void>((ready) => {
    watcher.once('ready', ready)
    watcher.on('error', (error) => {
      options.onEvent({
        kind: 'blind',
        why: error instanceof Error ? error.message : String(error),
      })
      ready()
    })
  })
  // What changed between the daemon's own reading and the watch's beginning.
  await state.check()
  return {
    check: () => state.check(),
    close: async () => {
      look.never()
      state.closed = true
      await watcher.close()
    },
  }
}

/** Runs once nothing has been heard for `quietMs`, but at the latest after ten times that. */
function whenQuiet(quietMs: number, run: () => void): { soon: () => void; never: () => void } {
  let timer: NodeJS.Timeout | null = null
  let firstMs = 0
  return {
    soon: () => {
      const nowMs = performance.now()
      if (timer === null) firstMs = nowMs
      else if (nowMs - firstMs > 10 * quietMs) return
      else clearTimeout(timer)
      timer = setTimeout(() => {
        timer = null
        run()
      }, quietMs)
    },
    never: () => {
      if (timer !== null) clearTimeout(timer)
    },
  }
}

/** What the files said last, and what is in force; looks are made one after the other. */
class ReloadState {
  closed = false
  readonly #options: ReloadOptions
  #running: Configuration
  /** As the files said last, which differs from what is in force where a restart is needed. */
  #inFiles: Configuration
  #masters: HostList
  #refused: string | null = null
  #looking: Promise<void> = Promise.resolve()

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#running = options.running
    this.#inFiles = options.running
    this.#masters = options.masters
  }

  check(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look())
    return this.#looking
  }

  async #look(): Promise<void> {
    if (this.closed) return
    try {
      const { confDir } = this.#running
      const files = await readSiteFiles(confDir)
      const inFiles = buildConfiguration(files, this.#options.surroundings)
      this.#options.judge?.(inFiles)
      const masters = await readMasters(
        confDir,
        inFiles.get('tajo.master.umbilical-rpc.address').port,
      )
      if (!this.closed) this.#accept(inFiles, masters)
    } catch (thrown) {
      const error = thrown instanceof ConfError ? thrown : unexpected(thrown)
      if (this.closed || this.#refused === error.message) return
      this.#refused = error.message
      this.#options.onEvent({ kind: 'refused', error })
    }
  }

  #accept(inFiles: Configuration, masters: HostList): void {
    const wasRefused = this.#refused !== null
    this.#refused = null
    const changed = differences(this.#inFiles, inFiles)
    const mastersBefore = namesOf(this.#masters) === namesOf(masters) ? null : this.#masters
    if (changed.length === 0 && mastersBefore === null) {
      if (wasRefused) this.#options.onEvent({ kind: 'mended' })
      return
    }
    const fixed = ALL_KEYS.filter((key) => !specOf(key).reloadable)
    const before = this.#running
    this.#running = inFiles.withSettingsOf(this.#running, fixed)
    this.#inFiles = inFiles
    this.#masters = masters
    const needRestart = differences(this.#running, inFiles)
    const isSet = (key: Key): boolean => inFiles.isSet(key) || this.#running.isSet(key)
    this.#options.onEvent({
      kind: 'changed',
      configuration: this.#running,
      masters,
      mastersBefore,
      reloaded: differences(before, this.#running),
      needRestart,
      derived: needRestart.map(({ key }) => key).filter((key) => !isSet(key)),
    })
  }
}

/** A daemon must not die of a file that it was only to look at again. */
function unexpected(thrown: unknown): ConfError {
  const { message } = thrown as Error
  if (thrown instanceof OwnPlaceError) return new ConfError(message, { cause: thrown })
  return new ConfError(`the configuration can't be read again: ${message}`, { cause: thrown })
}

const namesOf = (list: HostList): string => list.entries.map(({ name }) => name).join('\n')

/** Tells the keys whose values differ. */
function differences(from: Configuration, to: Configuration): ChangedKey[] {
  return ALL_KEYS.flatMap((key) => {
    const before = formatValue(from.get(key))
    const after = formatValue(to.get(key))
    if (before === after) return []
    return specOf(key).secret
      ? [{ key, from: '(not shown)', to: '(not shown)' }]
      : [{ key, from: before, to: after }]
  })
}
