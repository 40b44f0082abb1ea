/**
 * Hints from the kernel's file events, on a local disk: a new term, a touch of the newest heartbeat.
 *
 * Node's own watch, two directories at a time. chokidar looks the whole tree over at every heartbeat: that cost more
 * than half of a keeper's processor time and some 15 ms of each failover. Opening and closing a watch stops the whole
 * process for some 0.1 ms, and failed claims can have left thousands of terms, which are listed and told in ascending
 * order: only the newest of a listing, or of the events of one moment, gets one. A watch for each in turn kept the keeper
 * from its pings for so long that its master took it for dead, and the next one likewise.
 */
import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../words/errors.ts'
import { termOf } from '../words/layout.ts'

interface FileHints {
  /** The directory of the terms. */
  readonly activeDir: string
  readonly onEvent: () => void
  /** Hints are missing from here on; the looks go on. */
  readonly onTrouble: (why: string) => void
  /** Left out: that of the kernel. */
  readonly watchDir?: WatchDir
}

/** Calls with the name that an event is about, where it is known. Throws where it can't watch. */
type WatchDir = (path: string, listener: (name: string | null) => void) => FSWatcher

const watchByKernel: WatchDir = (path, listener) => watch(path, (_event, name) => listener(name))

/** Watches until the answer is called. */
export function watchTerms(hints: FileHints): () => void {
  const { activeDir, onEvent, onTrouble, watchDir = watchByKernel } = hints
  let newest: Newest = { term: 0, name: '' }
  let followed = 0
  let heartbeat: FSWatcher | null = null
  let due: NodeJS.Immediate | null = null

  const open = (path: string, listener: (name: string | null) => void): FSWatcher | null => {
    try {
      const watcher = watchDir(path, listener)
      watcher.on('error', (error) => onTrouble(messageOf(error)))
      return watcher
    } catch (error) {
      onTrouble(messageOf(error))
      return null
    }
  }
  const follow = (): void => {
    due = null
    if (newest.term === followed) return
    followed = newest.term
    heartbeat?.close()
    heartbeat = open(join(activeDir, newest.name), onEvent)
  }

  const terms = open(activeDir, (name) => {
    const term = name === null ? null : termOf(name)
    // Old ones are removed, thousands in a row: no look finds more for that.
    if (term !== null && term < newest.term) return
    newest = newerOf(newest, name)
    // After all events that are there already.
    if (newest.term > followed) due ??= setImmediate(follow)
    onEvent()
  })
  try {
    for (const name of readdirSync(activeDir)) newest = newerOf(newest, name)
    follow()
  } catch (error) {
    // It was removed in this moment: whoever looks tells that, and what to do.
    onTrouble(messageOf(error))
  }
  return () => {
    if (due !== null) clearImmediate(due)
    terms?.close()
    heartbeat?.close()
  }
}

interface Newest {
  readonly term: number
  readonly name: string
}

function newerOf(newest: Newest, name: string | null): Newest {
  const term = name === null ? null : termOf(name)
  return name === null || term === null || term <= newest.term ? newest : { term, name }
}
