/**
 * The keeper is a small child of the master in a session of its own, with its own event loop and its own file threads.
 * It joins the real disk, clock, /proc and channel to `Keeper`.
 *
 * The end of the channel is the kernel's word that the master is gone. This process ends itself by SIGKILL: with one
 * file call hanging on a dead mount, process.exit() would never return.
 */
import { write } from 'node:fs'
import { join } from 'node:path'
import { mountAlerts } from './check/mount-admission.ts'
import { type QuickCheck, quickCheck } from './check/storage-check.ts'
import { openingBytes } from './directory/opening-size.ts'
import { fence, parseFencingMethods } from './fence/fencing.ts'
import { Keeper } from './keeper/keeper.ts'
import { MountWatch, placeOf, showsCluster } from './keeper/mount-watch.ts'
import { LATENCIES_PER_RENEWAL, settledFor, smallestMonitorMs } from './rules/timing.ts'
import { asHaError, HaError } from './words/errors.ts'
import { ACTIVE_DIR } from './words/layout.ts'
import type { KeeperLink, Start, Storage, ToKeeper, ToMaster } from './words/messages.ts'
import { realClock } from './world/clock.ts'
import { openDisk } from './world/disk.ts'
import { watchTerms } from './world/file-hints.ts'
import type { Disk, Log } from './world/ports.ts'
import { hostProcesses, readCpu } from './world/processes.ts'
import { profileNamed, profileText, tooShortFor } from './world/storage-profile.ts'

const exit = (): void => {
  process.kill(process.pid, 'SIGKILL')
}

/** Messages to a master that has just died are nobody's loss; Node reports them as EPIPE. */
const send = (message: ToMaster): void => {
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}

const link: KeeperLink = {
  send,
  onMessage: (listener) => {
    process.on('message', (message) => listener(message as ToKeeper))
  },
  onClose: (listener) => {
    process.once('disconnect', listener)
    if (!process.connected) listener()
  },
}

const log: Log = (level, message, facts) => send({ type: 'log', level, message, facts })

async function main(given: Start): Promise<void> {
  parseFencingMethods(given.fencing.join('\n'))
  const sshOptions = (process.env.TAJO_SSH_OPTS ?? '').split(/\s+/).filter((word) => word !== '')
  const known = given.joined?.storage.profile
  const disk = openDisk(
    given.directory,
    known === undefined ? {} : { profile: profileNamed(known) },
  )
  const processes = hostProcesses()
  const storage = given.joined?.storage ?? (await checked(given, disk))
  // The same for every keeper of one master, so that a term's periods outlive the keeper that claimed it.
  const timing = settledFor(given.timing, storage.slowestRenewalMs)
  const start: Start = { ...given, timing }
  const watch = storage.place === undefined ? null : new MountWatch(storage.place, log)
  const keeper = new Keeper(
    {
      clock: realClock,
      disk,
      processes,
      link,
      fence: (holder) =>
        fence(start.fencing, holder, { log, timeoutMs: start.timing.monitorMs, sshOptions }),
      killMaster: (why) => {
        // Only our parent, and only while it is: a pid can be reused, a parent can't.
        if (process.ppid !== start.self.master.pid) return
        process.kill(process.ppid, 'SIGKILL')
        // Nobody else can tell it. Not waited for: the output may be on a mount that hangs.
        const text = `${new Date().toISOString()} the keeper of ${start.self.address} has killed it: ${why}\n`
        write(2, text, () => {})
      },
      masterCpu: () => readCpu(start.self.master.pid),
      exit,
      storage,
      ...(watch !== null && {
        mount: {
          name: () => watch.name,
          trouble: (clusterId) => watch.trouble(() => showsCluster(disk, clusterId)),
          judge: () => {
            const { severalHosts, unprovenMount: unproven = 'refuse' } = start
            return mountAlerts(disk, start.directory, { severalHosts, unproven })
          },
        },
      }),
      openingBytes: async () =>
        start.openingDirectory === null ? 0 : openingBytes(start.openingDirectory),
    },
    start,
  )
  await keeper.run()
  if (storage.network) return // its kernel knows nothing of other hosts
  watchTerms({
    activeDir: join(start.directory, ACTIVE_DIR),
    onEvent: () => keeper.hint('file event'),
    onTrouble: (why) => log('warn', `no hints by file events: ${why}`, { event: 'watch-failed' }),
  })
}

async function checked(start: Start, disk: Disk): Promise<Storage> {
  const { directory, severalHosts, unprovenMount = 'refuse' } = start
  const found = await quickCheck(disk, directory, { severalHosts, unprovenMount })
  const { profile } = found
  const tooShort = tooShortFor(profile, start.timing.monitorMs)
  if (tooShort !== null) throw new HaError('BAD_TIMING', tooShort)
  const told = profileText(profile, directory)
  if (told !== null) log('info', told, { event: 'storage-profile-chosen' })
  const slow = judgeLatency(start, found)
  const mount = { critical: found.critical, warnings: found.warnings }
  for (const one of [mount, slow]) {
    for (const text of [...one.critical, ...one.warnings])
      log('warn', text, { event: 'storage-alert-raised' })
  }
  const { granularityMs, network, fsType: kind, p95Ms: slowestRenewalMs } = found
  const place = await placeOf(directory)
  const { name } = profile
  return {
    granularityMs,
    slowestRenewalMs,
    network,
    warnings: slow.warnings,
    critical: slow.critical,
    mount,
    kind,
    place,
    profile: name,
  }
}

/**
 * A directory that is always too slow for P suspends its holder again and again; one that was slow at times may have been
 * busy just then. Neither is refused: no lease is wrong for it, and the cluster may have nothing faster.
 */
function judgeLatency(
  { directory, timing }: Start,
  { medianMs, p95Ms }: QuickCheck,
): Pick<QuickCheck, 'critical' | 'warnings'> {
  const { renewMs, monitorMs } = timing
  if (renewMs < medianMs * LATENCIES_PER_RENEWAL) {
    const text = `the shared directory ${directory} takes ${medianMs.toFixed(1)} ms for a renewal: a monitor interval of ${monitorMs} ms is too short for it, the smallest is ${smallestMonitorMs(medianMs)} ms`
    return { critical: [text], warnings: [] }
  }
  if (renewMs >= p95Ms * LATENCIES_PER_RENEWAL) return { critical: [], warnings: [] }
  const text = `the shared directory took ${p95Ms.toFixed(1)} ms for some renewals when this master started: safe with them is a monitor interval of ${smallestMonitorMs(p95Ms)} ms, set are ${monitorMs} ms`
  return { critical: [], warnings: [text] }
}

// A master that dies before its first message leaves nothing to keep.
process.once('disconnect', exit)
process.once('message', (message) => {
  process.off('disconnect', exit)
  const start = message as Start
  main(start).catch((error) => {
    const { code, message } = asHaError(error, 'BAD_STORAGE')
    send({ type: 'refused', code, message })
    setTimeout(exit, 100)
  })
})
// The session's terminal and its signals are not for the keeper: it follows its master.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
