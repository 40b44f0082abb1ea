/**
 * Mounts `hangfs.c`: a directory that behaves like a shared one and, on order, like one whose server has gone.
 *
 * Each host of a test gets its own mount of one backing directory, as with NFS; inside a host of `netns.ts` the mounts
 * can all stand at the same path.
 */

import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { TestHost } from './netns.ts'
import { ended, start } from './processes.ts'
import { mustRun } from './run.ts'
import { within } from './until.ts'

/** Whose calls a rule concerns: process ids as the mounting host sees them. */
export type Who = readonly number[] | 'all'

export interface HangFs {
  /** The mount point. */
  readonly path: string
  /** From now on these calls wait: all kinds, or those named (`utimens`, `create`, `open`, …). Rules add up. */
  hang(who: Who, calls?: readonly string[]): Promise<void>
  /** From now on these calls fail with EIO. */
  failWithEio(who: Who, calls?: readonly string[]): Promise<void>
  /** From now on whatever needs space fails with ENOSPC; utimes, reading and unlink go on. */
  fillUp(who: Who): Promise<void>
  /**
   * From now on whatever would have the backing file system hold more than this fails with EDQUOT, while `statfs` goes on
   * showing all of it.
   */
  setQuota(most: { readonly bytes: number; readonly files: number }): Promise<void>
  /** From now on whatever changes something fails with EROFS, as on a file system that its kernel has made read-only. */
  makeReadOnly(who: Who): Promise<void>
  /** From now on it looks and refuses as HDFS through its NFS gateway does. */
  beGateway(): Promise<void>
  /** Everything works again and waiting calls go on. */
  release(): Promise<void>
  /** How many calls are waiting now. */
  waiting(): Promise<number>
  /** How many calls of each kind a process (or all) made since the mount. */
  counts(who?: number | 'all'): Promise<Record<string, number>>
  /** Lets everything go on and takes the mount away. */
  unmount(): Promise<void>
}

export interface MountOptions {
  /** Where to mount; a new directory by default. */
  readonly path?: string
  /** Mount it inside this host only. */
  readonly host?: TestHost
  /** Mount options, such as `uid=65534,umask=0`: whose all files are shown to be, and with which mode. */
  readonly options?: string
}

const CHANGES =
  'create write utimens unlink mkdir rmdir rename link symlink truncate chmod chown'.split(' ')

const here = dirname(fileURLToPath(import.meta.url))
const SOURCE = join(here, '../../../test/support/hangfs.c')

/** Mounts `backingDir`; unmounted at the end of the test. Needs the part `hangfs`. */
export async function mountHangFs(
  t: Pick<Test, 'teardown'>,
  backingDir: string,
  options: MountOptions = {},
): Promise<HangFs> {
  const program = await compiled()
  const path = options.path ?? mkdtempSync(join(tmpdir(), 'tajo-hangfs-'))
  mkdirSync(path, { recursive: true })
  if (options.path === undefined) t.teardown(() => rmdirSync(path))
  const more = options.options === undefined ? [] : [options.options]
  const words = [program, backingDir, path, ...more]
  const orders = orderTaker(start(options.host?.command(words) ?? words))
  t.teardown(() => orders.end())
  await within(`the mount of ${path}`, orders.mounted)
  const rule = async (effect: string, who: Who, calls?: readonly string[]): Promise<void> => {
    const whom = who === 'all' ? 'all' : who.join(',')
    // Nobody is no rule at all; hangfs would refuse an empty list.
    if (whom !== '') await orders.give(`rule ${effect} ${whom} ${calls?.join(',') ?? 'all'}`)
  }
  return {
    path,
    hang: (who, calls) => rule('hang', who, calls),
    failWithEio: (who, calls) => rule('eio', who, calls),
    fillUp: (who) => rule('enospc', who, ['create', 'write', 'mkdir', 'symlink', 'link']),
    setQuota: async ({ bytes, files }) => void (await orders.give(`quota ${bytes} ${files}`)),
    makeReadOnly: (who) => rule('erofs', who, CHANGES),
    beGateway: async () => void (await orders.give('gateway')),
    release: async () => void (await orders.give('clear')),
    waiting: async () => Number(await orders.give('waiting')),
    counts: async (who = 'all') => parseCounts(await orders.give(`count ${who}`)),
    unmount: () => orders.end(),
  }
}

const parseCounts = (text: string): Record<string, number> =>
  Object.fromEntries(
    text
      .split(' ')
      .filter((pair) => pair !== '')
      .map((pair) => [pair.split('=')[0], Number(pair.split('=')[1])]),
  )

/** Speaks the line protocol: each order is answered in turn. */
function orderTaker(child: ChildProcessWithoutNullStreams) {
  const awaited: { resolve(answer: string): void; reject(error: Error): void }[] = []
  let stderr = ''
  let over = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const finish = (why: string): void => {
    over = true
    for (const one of awaited.splice(0)) one.reject(new Error(`hangfs ${why}: ${stderr}`))
  }
  child.once('close', (code) => finish(`ended with ${code}`))
  child.once('error', (error) => finish(`did not start, ${error.message}`))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const one = awaited.shift()
    if (line.startsWith('ok') || line === 'mounted') one?.resolve(line.slice(3))
    else one?.reject(new Error(`hangfs: ${line}`))
  })
  const answer = (): Promise<string> =>
    new Promise((resolve, reject) => {
      if (over) reject(new Error(`hangfs has ended: ${stderr}`))
      else awaited.push({ resolve, reject })
    })
  return {
    mounted: answer(),
    give: (order: string): Promise<string> => {
      const answered = answer()
      if (!over) child.stdin.write(`${order}\n`)
      return within(`hangfs' answer to ${JSON.stringify(order)}`, answered)
    },
    end: async (): Promise<void> => {
      child.stdin.end()
      await ended(child)
    },
  }
}

/** Compiles the program once for each version of its source. */
let program: Promise<string> | null = null

/** Once in this process, however many mounts ask at a time. */
function compiled(): Promise<string> {
  program ??= compile()
  return program
}

async function compile(): Promise<string> {
  const version = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 12)
  const program = join(here, `hangfs-${version}`)
  if (existsSync(program)) return program
  const flags = (await mustRun(['pkg-config', '--cflags', '--libs', 'fuse3'])).trim().split(/\s+/)
  const fresh = `${program}.${process.pid}`
  await mustRun(['gcc', '-std=gnu17', '-O1', '-o', fresh, SOURCE, ...flags, '-pthread'])
  // Tests run side by side: whoever comes last puts the same program there again.
  renameSync(fresh, program)
  return program
}
