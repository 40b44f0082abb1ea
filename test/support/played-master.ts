/** A real keeper on a real directory, whose master is played by the test. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Keeper } from '../../lib/ha/keeper/keeper.ts'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  encode,
  HISTORY_DIR,
  reserveDir,
} from '../../lib/ha/words/layout.ts'
import type { Resume, Start, ToKeeper, ToMaster } from '../../lib/ha/words/messages.ts'
import { realClock } from '../../lib/ha/world/clock.ts'
import { openDisk } from '../../lib/ha/world/disk.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../lib/ha/world/processes.ts'
import { until } from './until.ts'

const ADDRESS = 'a:26001'
const processes = hostProcesses()
const storage = { granularityMs: 1, slowestRenewalMs: 1, network: false, warnings: [] }
const catalog = { class: 'SharedStore', uri: '' }
const cluster = { format: 4, clusterId: 'c', generation: 1, catalog, createdAt: '' }

const start = (directory: string, resume: Resume | null): Start => ({
  type: 'start',
  directory,
  self: {
    address: ADDRESS,
    addresses: {
      umbilical: ADDRESS,
      clientRpc: '',
      resourceTracker: '',
      catalog: '',
      infoHttp: '',
    },
    nonce: 'n',
    master: processes.self(),
    startedAt: '',
    version: '1',
    priority: 100,
    adminSocket: '',
  },
  hostname: 'a',
  timing: makeTiming(1000),
  catalog,
  fencing: [],
  severalHosts: false,
  openingDirectory: null,
  catalogTerm: 0,
  catalogCluster: null,
  knownTerm: 0,
  fresh: { clusterId: 'c', secret: '' },
  joined: { clusterId: 'c', secret: '', storage, cluster, newest: 0 },
  resume,
})

/** A process that is gone makes no call any more; those under way are kept in `calls`. */
function mortal(disk: Disk, facts: { readonly exited: boolean }, calls: Set<Promise<unknown>>) {
  return new Proxy(disk, {
    get:
      (_, key: keyof Disk) =>
      (...words: unknown[]) => {
        if (facts.exited) return new Promise(() => {})
        const call = (disk[key] as (...words: unknown[]) => Promise<unknown>)(...words)
        calls.add(call)
        const ended = (): void => void calls.delete(call)
        call.then(ended, ended)
        return call
      },
  })
}

/** Not tap's, which removes its own before what the test has started is at its end. */
function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'tajo-keeper-'))
  writeFileSync(join(path, CLUSTER_FILE), encode(cluster))
  for (const name of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) mkdirSync(join(path, name))
  return path
}

export interface PlayedMaster {
  /** Its answer to `activate`; null: none. */
  readonly open: (term: number) => ToKeeper | null
  /** Left out: an empty directory of its own. */
  readonly path?: string
  readonly disk?: (disk: Disk) => Disk
  /** A term that an earlier keeper held. */
  readonly resume?: Resume
}

/** Its master answers what it must. The keeper leaves at the end of the test, if it was not stopped before. */
export function playMaster(t: Test, { open, disk = (plain) => plain, ...more }: PlayedMaster) {
  const path = more.path ?? newDirectory()
  const told: ToMaster[] = []
  const opened: number[] = []
  const facts = { exited: false }
  // A keeper's exit ends its process, and its timers with it.
  const after: typeof realClock.after = (delayMs, run) =>
    realClock.after(delayMs, () => {
      if (!facts.exited) run()
    })
  const clock = { ...realClock, after }
  const calls = new Set<Promise<unknown>>()
  let say = (_: ToKeeper): void => {}
  const answer = (message: ToMaster): ToKeeper | null => {
    if (message.type === 'ping') return { type: 'pong', ping: message.ping }
    if (message.type === 'deactivate') return { type: 'deactivated', term: message.term }
    if (message.type === 'drain') return { type: 'drained', term: message.term }
    if (message.type !== 'activate') return null
    opened.push(message.term)
    return open(message.term)
  }
  const one = new Keeper(
    {
      ...{ clock, disk: disk(mortal(openDisk(path), facts, calls)), processes, storage },
      link: {
        send: (message) => {
          if (!facts.exited) told.push(message)
          const back = facts.exited ? null : answer(message)
          if (back !== null) setImmediate(() => say(back))
        },
        onMessage: (listener) => {
          say = listener
        },
        onClose: () => {},
      },
      fence: async () => ({ fenced: false, detail: '' }),
      killMaster: () => t.fail('it is not killed'),
      masterCpu: () => null,
      exit: () => {
        facts.exited = true
      },
      openingBytes: async () => 4096,
    },
    start(path, more.resume ?? null),
  )
  t.teardown(async () => {
    if (!facts.exited) say({ type: 'leave', reason: 'the test is over' })
    await until('the keeper has left', () => facts.exited)
    await Promise.allSettled(calls)
    if (more.path === undefined) rmSync(path, { recursive: true })
  })
  void one.run()
  const reserve = (): string[] => {
    const directory = join(path, reserveDir(ADDRESS))
    mkdirSync(directory, { recursive: true })
    return readdirSync(directory)
  }
  return {
    path,
    one,
    told,
    opened,
    reserve,
    say: (message: ToKeeper) => say(message),
    /** As by SIGKILL: no timer runs any more, and nothing that it says is heard. */
    kill: () => {
      facts.exited = true
    },
  }
}
