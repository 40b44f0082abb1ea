/**
 * A master without high availability: it uses the directory alone, and says so there. Its cluster's id and secret lie where
 * those of several masters do, so that high availability can be switched on later, and they are put back when somebody
 * removes them.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../../base/log.ts'
import { systemClock } from '../../base/time.ts'
import { requireOurs } from '../../catalog/index.ts'
import { DirectoryProof, type MemberOptions, type Service } from '../../ha/index.ts'
import {
  type MasterOptions,
  type QueryOptions,
  SingleMember,
  SingleStorage,
} from '../../master/index.ts'
import { timingOf } from '../timing.ts'
import { ownClusterId } from './cluster-identity.ts'
import { catalogBytes, catalogName, idNextTo, keptIn } from './configured-store.ts'
import { makeHaDirectory } from './ha-directory.ts'
import { leaveTrace, refuseLost, requireNoOtherCatalog, type Start } from './other-catalogs.ts'
import { useAlone } from './rootdir-use.ts'
import { ownSecret, SingleFiles } from './single-files.ts'

interface SingleOptions {
  readonly start: Start
  readonly queries: () => QueryOptions
  readonly self: () => MemberOptions['self']
  readonly judgeOwners: (rootDirectory: string) => Promise<void>
  readonly log: Log
}

export class SingleMaster {
  readonly haDirectory: string
  readonly #options: SingleOptions
  #alone: { release(): void } | null = null
  #files: SingleFiles | null = null

  constructor(options: SingleOptions) {
    this.#options = options
    this.haDirectory = join(options.start.conf.get('tajo.rootdir'), 'system', 'ha')
  }

  /** What is wrong with its files. */
  get warnings(): readonly string[] {
    return this.#files?.warnings ?? []
  }

  /** Rejects with an Error that says what to do; `stop` cleans up then. */
  async join(
    service: Service,
    onFailure: (error: Error) => void,
  ): ReturnType<MasterOptions['join']> {
    const { start, queries, self, judgeOwners, log } = this.#options
    const { conf } = start
    const { haDirectory } = this
    const rootDirectory = conf.get('tajo.rootdir')
    await makeHaDirectory(haDirectory, start, log)
    await judgeOwners(rootDirectory)
    this.#alone = await useAlone({
      haDirectory,
      rootDirectory,
      address: self().address,
      timing: timingOf(conf),
      onLost: onFailure,
      onPutBack: (why) => log('warn', why, { event: 'single-file-put-back' }),
    })
    requireNoOtherCatalog(start)
    const origin = await keptIn(queries())
    refuseLost(start, origin.term)
    const clusterId = await ownClusterId(haDirectory, idNextTo(conf, origin))
    requireOurs(catalogName(conf), origin.clusterId, clusterId)
    const member = new SingleMember({
      self: self(),
      hostname: hostname(),
      pid: process.pid,
      clusterId,
      storage: this.#storage(),
      startedAt: new Date().toISOString(),
      service,
      onFailure,
      term: Math.max(1, origin.term),
    })
    const secret = await ownSecret(haDirectory)
    await member.start()
    leaveTrace(conf)
    const everyMs = timingOf(conf).monitorMs
    this.#files = await SingleFiles.of({ haDirectory, clusterId, secret, everyMs, log })
    this.#files.start()
    return { member, clusterId, secret }
  }

  stop(): void {
    this.#files?.stop()
    this.#alone?.release()
  }

  #storage(): SingleStorage {
    const { conf } = this.#options.start
    const proof = new DirectoryProof(this.haDirectory, () => catalogBytes(conf))
    const { monitorMs } = timingOf(conf)
    return new SingleStorage({
      directory: conf.get('tajo.rootdir'),
      prove: () => proof.prove(),
      space: () => proof.space,
      everyMs: monitorMs,
      limitMs: monitorMs,
      clock: systemClock,
      log: this.#options.log,
    })
  }
}
