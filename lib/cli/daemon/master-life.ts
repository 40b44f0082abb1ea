/** One master's life in its process: joins configuration, HA library, daemon and master, which don't know each other. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../base/time.ts'
import { sharedDirectory } from '../../catalog/index.ts'
import {
  type Configuration,
  entryAddress,
  formatHostPort,
  type HostList,
  isLoopback,
  type Reloader,
  watchConfiguration,
} from '../../conf/index.ts'
import { type AuditFile, type DaemonLog, keepStanding, listenOnSocket } from '../../daemon/index.ts'
import {
  hostNetwork,
  joinElection,
  type MemberOptions,
  makeTiming,
  type Service,
} from '../../ha/index.ts'
import {
  type AdminServer,
  type AdmissionRules,
  adminServer,
  Master,
  type MasterOptions,
  type QueryOptions,
} from '../../master/index.ts'
import type { Bind } from '../../serve/index.ts'
import { thisHost } from '../address.ts'
import { timingOf } from '../timing.ts'
import { daemonCertificate } from './cluster-certificate.ts'
import { singleIdOf } from './cluster-identity.ts'
import { confRows, type InForce, onConfChange } from './conf-changes.ts'
import { keptIn, originIfKnown, requireFreeCatalog } from './configured-store.ts'
import type { DaemonLife, End } from './daemon-command.ts'
import { replaceable, stepsTo } from './directory.ts'
import { makeHaDirectory } from './ha-directory.ts'
import { ListedWorkers } from './listed-workers.ts'
import { auditLimitsOf, type HaPlan, logLimitsOf, type MasterPlan } from './master-plan.ts'
import { openDoors } from './open-doors.ts'
import { isTraced, refuseLost, requireNoOtherCatalog, type Start } from './other-catalogs.ts'
import { AUDIT_FLUSH_MS, openAudit } from './own-audit.ts'
import { requireOwnFencing } from './own-conf.ts'
import { ownNames } from './own-names.ts'
import { queryOptionsOf } from './query-options.ts'
import { requireNobodyAlone, requireNobodyAloneInTerm } from './rootdir-use.ts'
import { SingleMaster } from './single-master.ts'
import { WarehouseLook } from './warehouse-look.ts'

const BIND_KEYS = {
  umbilical: 'tajo.master.umbilical-rpc.address',
  clientRpc: 'tajo.master.client-rpc.address',
  resourceTracker: 'tajo.resource-tracker.rpc.address',
  catalog: 'tajo.catalog.client-rpc.address',
  infoHttp: 'tajo.master.info-http.address',
} as const

export class MasterLife implements DaemonLife {
  readonly #plan: MasterPlan
  readonly #version: string
  readonly #log: DaemonLog
  #master: Master | null = null
  #audit: AuditFile | null = null
  #admin: AdminServer | null = null
  #adminName: { stop(): void } | null = null
  /** Without high availability. */
  readonly #single: SingleMaster | null
  readonly #warehouse: WarehouseLook
  #reloader: Reloader | null = null
  #directoryWarnings: readonly string[] = []
  /** Both have what was reloaded. */
  #conf: Configuration
  #masters: HostList

  constructor(plan: MasterPlan, version: string, log: DaemonLog) {
    this.#plan = plan
    this.#conf = plan.conf
    this.#masters = plan.masters
    this.#version = version
    this.#log = log
    const { monitorMs } = timingOf(plan.conf)
    const directory = plan.conf.get('tajo.warehouse.directory')
    this.#warehouse = new WarehouseLook({
      directory,
      systemDirectory: join(plan.conf.get('tajo.rootdir'), 'system'),
      host: hostname(),
      isUsed: () => this.#master?.keepsFilesIn(directory) ?? false,
      everyMs: monitorMs,
      limitMs: monitorMs,
      clock: systemClock,
      log: log.log,
    })
    this.#single =
      plan.ha === null
        ? new SingleMaster({
            start: this.#catalogStart(),
            queries: () => this.#queries(),
            self: () => this.#self(),
            judgeOwners: (rootDirectory) => this.#judgeOwners(rootDirectory),
            log: log.log,
          })
        : null
  }

  get ready(): string {
    const { umbilical, infoHttp } = this.#plan.addresses
    return `master ${umbilical}, web page http://${infoHttp}/`
  }

  /** Resolves when it takes part in the election. Rejects with an Error that says what to do; `stop` cleans up then. */
  async start(end: End): Promise<void> {
    const { log } = this.#log
    const plan = this.#plan
    this.#audit = openAudit(plan, log)
    const master = new Master(this.#masterOptions(end))
    this.#master = master
    this.#admin = adminServer({
      member: () => master.member,
      status: () => master.status(),
      stop: (why) => end(why, 0),
      term: () => master.term(),
      clusterId: () => master.clusterId,
      log,
      audit: this.#audit?.audit,
    })
    for (const text of openDoors(plan.conf)) log('warn', text, { event: 'authentication-off' })
    await this.#admin.ready()
    await listenOnSocket(this.#admin.server, plan.adminSocket)
    this.#adminName = this.#keepSocket(this.#admin, plan.adminSocket)
    await master.start()
    this.#warehouse.start()
    this.#reloader = await watchConfiguration({
      running: plan.conf,
      masters: plan.masters,
      surroundings: plan.surroundings,
      judge: requireOwnFencing,
      onEvent: (event) => onConfChange(event, { log, apply: (now) => this.#apply(now) }),
    })
  }

  async stop(why: string): Promise<void> {
    this.#warehouse.stop()
    await Promise.all([this.#reloader?.close(), this.#master?.stop(why)])
    this.#adminName?.stop()
    await this.#admin?.close()
    this.#single?.stop()
    await this.#audit?.flush(AUDIT_FLUSH_MS)
  }

  #apply({ configuration, masters }: InForce): void {
    this.#conf = configuration
    this.#masters = masters
    this.#log.limit(logLimitsOf(configuration))
    this.#audit?.limit(auditLimitsOf(configuration))
  }

  /** A socket whose name is gone takes no orders any more: the same server listens anew. */
  #keepSocket({ server }: AdminServer, path: string): { stop(): void } {
    const make = async (): Promise<void> => {
      // Whoever is connected already is answered; where the last try failed it does not listen.
      if (server.listening) server.close()
      await listenOnSocket(server, path)
    }
    return keepStanding({ path, what: 'the admin socket', make }, this.#log.log)
  }

  /** A line without a port means the configured one. */
  #listed(): string[] {
    const configured = this.#conf.get('tajo.master.umbilical-rpc.address')
    return this.#masters.entries.map((entry) => formatHostPort(entryAddress(entry, configured)))
  }

  reload(): void {
    this.#audit?.reopen()
    void this.#reloader?.check()
  }

  #masterOptions(end: End): MasterOptions {
    const { addresses, ha } = this.#plan
    const timing = ha?.timing ?? makeTiming()
    return {
      address: addresses.umbilical,
      rootDirectory: this.#plan.conf.get('tajo.rootdir'),
      directoryWarnings: () => this.#warnings(),
      warehouse: () => this.#warehouse.warnings,
      connectionsPerAddress: this.#plan.conf.get('tajo.connections.per-address'),
      binds: this.#binds(),
      join: this.#join(ha),
      certify: (clusterId) => this.#certify(clusterId),
      authentication: this.#conf.get('tajo.security.authentication'),
      beatMs: 2 * timing.renewMs,
      silenceMs: timing.monitorMs,
      stopMs: timing.deadlineMs + 2 * timing.renewMs,
      queries: this.#queries(),
      timing: ha?.timing ?? null,
      web: this.#webRules(),
      names: () => this.#names(),
      network: {
        network: hostNetwork(),
        witnesses: this.#conf.get('tajo.master.ha.network.witness'),
      },
      config: () => confRows(this.#conf),
      listed: () => this.#listed(),
      version: this.#version,
      onFailure: (error) => end(error.message, 1),
      pid: process.pid,
      startedAtSeconds: Math.round(Date.now() / 1000 - process.uptime()),
      clock: systemClock,
      wallMs: Date.now,
      log: this.#log.log,
      audit: this.#audit?.audit,
    }
  }

  #warnings(): string[] {
    const logs = [this.#log.trouble(), this.#audit?.trouble() ?? null].filter((one) => one !== null)
    const ofLogs = logs.map((one) => `${this.#plan.addresses.umbilical}: ${one}`)
    const ofPlaces = [...this.#directoryWarnings, ...(this.#single?.warnings ?? [])]
    return [...openDoors(this.#plan.conf), ...ofPlaces, ...ofLogs]
  }

  /** The page gives nobody more than the client port does. */
  #webRules(): MasterOptions['web'] {
    const { conf, bind } = this.#plan
    return {
      sql: conf.get('tajo.master.info-http.sql'),
      sqlFromHereOnly: isLoopback(bind.clientRpc.host),
      admin: conf.get('tajo.master.info-http.admin'),
      authentication: conf.get('tajo.security.authentication'),
    }
  }

  #names(): string[] {
    const { bind, addresses } = this.#plan
    return ownNames(this.#conf, this.#masters, [bind.infoHttp.host, addresses.infoHttp])
  }

  #queries(): QueryOptions {
    const { conf, addresses, ha } = this.#plan
    return queryOptionsOf(conf, {
      address: addresses.umbilical,
      severalHosts: ha?.severalHosts ?? false,
      admission: this.#admission(),
      log: this.#log.log,
    })
  }

  #admission(): AdmissionRules {
    const { conf } = this.#plan
    const { monitorMs } = timingOf(conf)
    const listed = new ListedWorkers({
      confDir: conf.confDir,
      defaultPort: conf.get('tajo.worker.peer-rpc.address').port,
      facts: thisHost(),
      everyMs: monitorMs / 4,
      clock: systemClock,
      log: this.#log.log,
    })
    return {
      mode: () => this.#conf.get('tajo.worker.admission'),
      version: () => listed.version(),
      judge: (worker) => listed.judge(worker),
      file: join(conf.confDir, 'workers'),
      everyMs: monitorMs / 2,
    }
  }

  #binds(): MasterOptions['binds'] {
    const { bind } = this.#plan
    const of = (service: keyof typeof BIND_KEYS): Bind => ({
      key: BIND_KEYS[service],
      ...bind[service],
    })
    return {
      umbilical: of('umbilical'),
      clientRpc: of('clientRpc'),
      resourceTracker: of('resourceTracker'),
      catalog: of('catalog'),
      infoHttp: of('infoHttp'),
    }
  }

  #self(): MemberOptions['self'] {
    const { addresses, adminSocket, conf } = this.#plan
    return {
      address: addresses.umbilical,
      addresses,
      version: this.#version,
      priority: conf.get('tajo.master.ha.priority'),
      adminSocket,
    }
  }

  #join(ha: HaPlan | null): MasterOptions['join'] {
    const single = this.#single
    if (ha !== null) return this.#election(ha)
    if (single === null) throw new Error('a master without high availability is a single one')
    return (service, onFailure) => single.join(service, onFailure)
  }

  #certify(clusterId: string): ReturnType<MasterOptions['certify']> {
    const haDirectory = join(this.#plan.conf.get('tajo.rootdir'), 'system', 'ha')
    return daemonCertificate(haDirectory, clusterId, this.#names())
  }

  #election(ha: HaPlan): MasterOptions['join'] {
    const { conf } = this.#plan
    const rootDirectory = conf.get('tajo.rootdir')
    return async (service: Service, onFailure) => {
      await makeHaDirectory(ha.directory, this.#catalogStart(), this.#log.log)
      await this.#judgeOwners(rootDirectory)
      await requireNobodyAlone(ha.directory, rootDirectory)
      // Before the trace is taken over: the catalog's own history begins with this cluster.
      if (isTraced(conf)) refuseLost(this.#catalogStart(), (await keptIn(this.#queries())).term)
      requireNoOtherCatalog(this.#catalogStart())
      if (ha.catalog.class === 'DerbyStore') await requireFreeCatalog(conf)
      const isShared = ha.catalog.class === 'SharedStore'
      const activate: Service['activate'] = async (term, signal, activation) => {
        const { onTrouble } = activation
        await requireNobodyAloneInTerm(ha.directory, rootDirectory, { signal, onTrouble })
        await service.activate(term, signal, activation)
      }
      const formerId = await singleIdOf(ha.directory)
      const openingDirectory = isShared ? sharedDirectory(rootDirectory) : null
      const { term, clusterId } = await originIfKnown(conf, this.#queries(), this.#log.log)
      const known = { openingDirectory, catalogTerm: term, catalogCluster: clusterId }
      const us = { self: this.#self(), clusterId: formerId }
      const listed = this.#listed()
      const options = { ...ha, ...known, ...us, listed, log: this.#log.log }
      return joinElection({ ...options, service: { ...service, activate } }, onFailure)
    }
  }

  async #judgeOwners(rootDirectory: string): Promise<void> {
    const found = replaceable(await stepsTo(rootDirectory), process.getuid?.() ?? 0)
    this.#directoryWarnings = found.map((one) => `tajo.rootdir: ${one}`)
    for (const warning of this.#directoryWarnings)
      this.#log.log('warn', warning, { event: 'rootdir-doubtful' })
  }

  #catalogStart(): Start {
    const { conf, surroundings } = this.#plan
    const { env, userName } = surroundings
    return { conf, home: env.TAJO_HOME ?? '', userName }
  }
}
