/** What can befall a cluster. Each fault strikes at once and undoes itself after `forMs`. */
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  claimFile,
  encode,
  FORMAT_VERSION,
  HISTORY_DIR,
  heartbeatFile,
  historyFile,
  historyTermOf,
  openedFile,
  SECRET_FILE,
  servedFile,
  termDir,
  termOf,
} from '../../lib/ha/words/layout.ts'
import type { Cluster } from './cluster.ts'
import { CATALOG, type Master } from './master.ts'

export interface Strike {
  readonly cluster: Cluster
  readonly target: Master
  readonly forMs: number
}

const later = ({ cluster, forMs }: Strike, run: () => void): void => cluster.world.after(forMs, run)

const newestTerm = ({ world }: Cluster): number =>
  Math.max(0, ...(world.storage.server.names(ACTIVE_DIR) ?? []).map((name) => termOf(name) ?? 0))

const wallJumps = [-31_536_000_000, 31_536_000_000, -3_600_000, 5_000, -5_000, -80] as const

export const FAULTS = {
  'kill master': (strike) => {
    const { target } = strike
    target.life?.process.kill()
    later(strike, () => target.start())
  },
  'kill keeper': ({ cluster, target }) => {
    cluster.disturb(target.host)
    target.life?.keeper?.kill()
  },
  'kill both': (strike) => {
    const { target } = strike
    target.life?.keeper?.kill()
    target.life?.process.kill()
    later(strike, () => target.start())
  },
  'stop master': (strike) => {
    const { cluster, target } = strike
    const process = target.life?.process
    cluster.disturb(target.host) // it can't hear that its term is over
    process?.stop()
    later(strike, () => {
      process?.continue()
      cluster.disturb(target.host)
    })
  },
  'stop keeper': (strike) => {
    const { cluster, target } = strike
    const process = target.life?.keeper
    cluster.disturb(target.host)
    process?.stop()
    later(strike, () => {
      process?.continue()
      cluster.disturb(target.host)
    })
  },
  'stop both': (strike) => {
    const { life } = strike.target
    const processes = [life?.process, life?.keeper]
    strike.cluster.disturb(strike.target.host)
    for (const process of processes) process?.stop()
    later(strike, () => {
      for (const process of processes) process?.continue()
      strike.cluster.disturb(strike.target.host)
    })
  },
  'power off': (strike) => {
    const { cluster, target } = strike
    target.host.powerOff()
    later(strike, () => cluster.powerOn(target.host))
  },
  'freeze host': (strike) => {
    const { cluster, target } = strike
    if (!target.host.up) return
    cluster.disturb(target.host)
    target.host.freeze()
    later(strike, () => {
      cluster.wake(target.host)
      cluster.disturb(target.host)
    })
  },
  'suspend host': (strike) => {
    const { cluster, target } = strike
    target.host.suspend()
    later(strike, () => cluster.wake(target.host))
  },
  'dump catalog': ({ target }) => {
    // What can't be read is not looked at.
    target.life?.catalog.dump().catch(() => {})
  },
  'wall clock': ({ cluster, target }) => {
    target.host.wallOffsetMs += cluster.random.pick(wallJumps)
  },
  'cut host': (strike) => {
    const { cluster, target } = strike
    const { host } = target
    cluster.world.storage.hang(host)
    cluster.unheard.add(host)
    cluster.disturb(host)
    later(strike, () => {
      cluster.unheard.delete(host)
      cluster.world.storage.recoverHost(host)
      cluster.disturb(host)
    })
  },
  'cut storage of host': (strike) => {
    const { cluster, target } = strike
    cluster.world.storage.hang(target.host)
    cluster.disturb(target.host)
    later(strike, () => {
      cluster.world.storage.recoverHost(target.host)
      cluster.disturb(target.host)
    })
  },
  'cut network': (strike) => {
    const { cluster, target } = strike
    cluster.unheard.add(target.host)
    later(strike, () => cluster.unheard.delete(target.host))
  },
  /** Both directions, or one, between that host and some end of the clients' network. */
  'cut client network': (strike) => {
    const { cluster, target } = strike
    const { network, random, world } = cluster
    if (network === null) return
    const me = target.host.name
    const ends = [...world.hosts.map(({ name }) => name), 'worker1', 'witness']
    const some = random.chance(0.6) ? ends : [random.pick(ends)]
    const ways = random.pick(['both', 'in', 'out'] as const)
    for (const end of some) {
      if (ways !== 'in') network.links.cut(me, end)
      if (ways !== 'out') network.links.cut(end, me)
    }
    later(strike, () => network.links.mend())
  },
  'hang storage': (strike) => {
    const { storage, hosts } = strike.cluster.world
    storage.hangAll()
    for (const host of hosts) strike.cluster.disturb(host)
    later(strike, () => {
      storage.recover(0)
      for (const host of hosts) strike.cluster.disturb(host)
    })
  },
  'restart file server': (strike) => {
    const { cluster } = strike
    const { storage, hosts } = cluster.world
    storage.hangAll()
    for (const host of hosts) cluster.disturb(host)
    later(strike, () => {
      storage.recover(cluster.random.between(0.2, 2) * cluster.profile.timing.monitorMs)
      for (const host of hosts) cluster.disturb(host)
    })
  },
  'lose replies': (strike) => weather(strike, 'lostReply', 0.2),
  errors: (strike) => weather(strike, 'error', 0.15),
  'stale handles': (strike) => weather(strike, 'stale', 0.1),
  'full disk': (strike) => {
    const { storage } = strike.cluster.world
    storage.weather.full = true
    storage.weather.room = 0
    later(strike, () => {
      storage.weather.full = false
    })
  },
  /** An age cleaner, or a hand that slips. */
  'remove file': ({ cluster }) => {
    if (!cluster.mayRemove) return
    const { server } = cluster.world.storage
    const term = newestTerm(cluster)
    const backups = (server.names(BACKUP_DIR) ?? []).map((name) => `${BACKUP_DIR}/${name}`)
    const own = [heartbeatFile, claimFile, historyFile, openedFile, servedFile]
    cluster.remove(cluster.random.pick([...own.map((path) => path(term)), ...backups]))
  },
  /** Failed claims, as an earlier version left them: an empty directory and a record without a text each. */
  'burn terms': ({ cluster }) => {
    const { random, world } = cluster
    const { server } = world.storage
    const used = [
      ...(server.names(ACTIVE_DIR) ?? []).map((name) => termOf(name) ?? 0),
      ...(server.names(HISTORY_DIR) ?? []).map((name) => historyTermOf(name)?.term ?? 0),
    ]
    const newest = Math.max(0, ...used)
    const most = random.pick([1, 10, 40])
    for (let term = newest + 1; term <= newest + most; term += 1) {
      server.makeDirectory(termDir(term))
      server.create(historyFile(term), world.timeline.nowMs)
    }
  },
  'remove heartbeat': ({ cluster }) => cluster.remove(heartbeatFile(newestTerm(cluster))),
  'remove record': ({ cluster }) => cluster.remove(historyFile(newestTerm(cluster))),
  /** Of the term that is held now, or was last. */
  'remove directory of term': ({ cluster }) => {
    const term = cluster.active?.heldTerm ?? 0
    if (term > 0) cluster.removeDirectory(termDir(term))
  },
  'remove directories of terms': ({ cluster }) => cluster.removeDirectory(ACTIVE_DIR),
  'remove history': ({ cluster }) => cluster.removeDirectory(HISTORY_DIR),
  'remove claim': ({ cluster }) => {
    const { server } = cluster.world.storage
    for (const name of server.names(ACTIVE_DIR) ?? []) {
      cluster.remove(claimFile(termOf(name) ?? 0))
    }
  },
  /** Both files that say who opened a term, of all terms at once: more than one slip. */
  'remove decision': ({ cluster }) => {
    for (const name of cluster.world.storage.server.names(ACTIVE_DIR) ?? []) {
      for (const path of [claimFile, openedFile]) cluster.remove(path(termOf(name) ?? 0))
    }
  },
  'remove cluster file': ({ cluster }) => {
    for (const path of [CLUSTER_FILE, SECRET_FILE]) cluster.remove(path)
  },
  /** Another cluster's directory is mounted here, or its file was copied, until somebody looks. */
  'replace cluster file': (strike) => {
    const { cluster } = strike
    const { server } = cluster.world.storage
    const ours = server.file(CLUSTER_FILE)?.text ?? ''
    const put = (text: string): void => {
      cluster.remove(CLUSTER_FILE)
      server.write(CLUSTER_FILE, text)
    }
    put(encode({ format: FORMAT_VERSION, clusterId: 'another', catalog: CATALOG, createdAt: '' }))
    later(strike, () => put(ours))
  },
  'remove everything': ({ cluster }) => {
    for (const path of [CLUSTER_FILE, SECRET_FILE]) cluster.remove(path)
    for (const directory of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) {
      cluster.removeDirectory(directory)
    }
  },
  'remove terms': ({ cluster }) => {
    for (const directory of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) {
      cluster.removeDirectory(directory)
    }
  },
  'remove backups': ({ cluster }) => {
    for (const name of cluster.world.storage.server.names(BACKUP_DIR) ?? []) {
      cluster.remove(`${BACKUP_DIR}/${name}`)
    }
  },
  'hold open': ({ cluster, target, forMs }) => {
    const names = cluster.world.storage.server.names('active') ?? []
    const newest = names.sort().at(-1)
    if (newest !== undefined) {
      cluster.world.holdOpen(target.host, `active/${newest}/heartbeat`, forMs)
    }
  },
  'hand over': ({ cluster }) => {
    const successor = cluster.random.chance(0.5) ? null : cluster.random.pick(cluster.masters)
    const force = cluster.random.chance(0.2)
    cluster.active?.order((core) =>
      core.handOver(successor?.address ?? null, { force, by: 'operator' }),
    )
  },
  'take over': ({ cluster, target }) => {
    const force = cluster.random.chance(0.5)
    target.order((core) => core.takeOver({ force, by: 'operator' }))
  },
  leave: (strike) => {
    const { target } = strike
    target.leave()
    later(strike, () => target.start())
  },
  hint: ({ target }) => target.order((core) => core.hint('something was heard')),
} satisfies Record<string, (strike: Strike) => void>

export type FaultName = keyof typeof FAULTS

function weather(strike: Strike, what: 'lostReply' | 'error' | 'stale', share: number): void {
  const { storage, hosts } = strike.cluster.world
  storage.weather[what] = share * strike.cluster.random.next()
  for (const host of hosts) strike.cluster.disturb(host)
  later(strike, () => {
    storage.weather[what] = 0
    for (const host of hosts) strike.cluster.disturb(host)
  })
}
