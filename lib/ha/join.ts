/** Joins the election on a real host: this wires the member to a keeper process, the clock and the kernel. */
import { fork } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { watch } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { MemberCore } from './member/member.ts'
import type { Member, MemberOptions } from './member/member-api.ts'
import type { KeeperHandle } from './member/supervised-keeper.ts'
import { messageOf } from './words/errors.ts'
import type { ToKeeper, ToMaster } from './words/messages.ts'
import { realClock } from './world/clock.ts'
import type { Log } from './world/ports.ts'
import { hostNetwork, hostProcesses } from './world/processes.ts'

/** What joining gives. */
export interface Joined {
  /** This process's seat in the cluster. */
  readonly member: Member
  /** The cluster's id, the same for ever. */
  readonly clusterId: string
  /** What all members of the cluster know and nobody else may: the directory's file of mode 0600 holds it. */
  readonly secret: string
}

/**
 * Starts a keeper and joins the cluster of `options.directory`, which the first member forms. Rejects with HaError:
 * BAD_DIRECTORY, BAD_STORAGE, BAD_TIMING (M is too short for the storage), CATALOG_DIFFERS, ADDRESS_IN_USE, KEEPER_FAILED.
 * `onFailure` is called at most once and later: the directory is no longer ours, or the keeper can't be kept alive. The
 * member is `stopped` then.
 */
export async function joinElection(
  options: MemberOptions,
  onFailure: (error: Error) => void,
): Promise<Joined> {
  const processes = hostProcesses()
  const core = new MemberCore(
    {
      clock: realClock,
      log: options.log,
      service: options.service,
      spawnKeeper: () => spawnKeeper(options.log),
    },
    {
      type: 'start',
      directory: options.directory,
      self: {
        network: hostNetwork(),
        ...options.self,
        nonce: randomUUID(),
        master: processes.self(),
        startedAt: new Date(realClock.wallMs()).toISOString(),
      },
      hostname: hostname(),
      timing: options.timing,
      catalog: options.catalog,
      fencing: options.fencing,
      severalHosts: options.severalHosts,
      unprovenMount: options.unprovenMount ?? 'refuse',
      catalogTerm: options.catalogTerm,
      catalogCluster: options.catalogCluster,
      openingDirectory: options.openingDirectory,
      listed: options.listed ?? [],
      fresh: {
        clusterId: options.clusterId ?? randomUUID(),
        secret: randomBytes(32).toString('hex'),
      },
    },
  )
  core.onFailure(onFailure)
  return { member: core, ...(await core.join()) }
}

/** Enough for every lane to have its calls hanging at once (renew, look, peers, claim, history, setup, clearing). */
const FILE_THREADS = 12

/**
 * Compiled when it is loaded, and kept: what a keeper does when a master has died it does for the first time then, and
 * what was not called for some collections would be compiled anew. It costs each keeper 2 MiB and a fifth of its start.
 */
const EAGER = ['--no-lazy', '--no-flush-bytecode']

function spawnKeeper(log: Log): KeeperHandle {
  makeInotify(log)
  // Those two are meant for a master, and for what it keeps in memory.
  const { NODE_OPTIONS: _options, GLIBC_TUNABLES: _allocator, ...env } = process.env
  const child = fork(fileURLToPath(new URL('./keeper-process.js', import.meta.url)), [], {
    detached: true,
    execArgv: ['--max-old-space-size=48', '--max-semi-space-size=1', ...EAGER],
    env: { ...env, UV_THREADPOOL_SIZE: String(FILE_THREADS) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  // A failed start or a message to a dying keeper; its end itself is heard by 'disconnect' or by its silence.
  child.on('error', (error) =>
    log('warn', `keeper process: ${error.message}`, { event: 'keeper-process-failed' }),
  )
  return {
    pid: child.pid ?? 0,
    kill: () => child.kill('SIGKILL'),
    link: {
      send: (message: ToKeeper) => {
        if (child.connected) child.send(message, () => {})
      },
      onMessage: (listener) => child.on('message', (message) => listener(message as ToMaster)),
      onClose: (listener) => {
        child.once('disconnect', listener)
        // A keeper that could not even be started has no channel to lose.
        child.once('exit', () => (child.connected ? undefined : listener()))
      },
    },
  }
}

/**
 * Sees to it that the channel to the keeper, by whose end it learns that its master was killed, is one of the first files
 * that the kernel closes. It begins with the highest number, and waits some milliseconds at the instance of inotify that a
 * process has from its first watch on (of its configuration, say), if anything is watched by it. So that one is made
 * before the first channel.
 */
function makeInotify(log: Log): void {
  try {
    watch('/').close()
  } catch (error) {
    const why = messageOf(error)
    log(
      'info',
      `nothing can be watched here, so a killed master is noticed a little later: ${why}`,
      { event: 'watch-failed' },
    )
  }
}
