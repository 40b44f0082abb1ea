/**
 * What this master tells of itself, put together from its parts: to the other masters in a line, to people in a document, to
 * a scraper in numbers. It is told as it is at that moment, and nothing is waited for.
 */

import type { ServiceStatus, Standing } from '../../contract/index.ts'
import type { DirectoryNote, Member, MemberView } from '../../ha/index.ts'
import type { Guard } from '../../serve/index.ts'
import { countQueries } from '../../web/query-page.ts'
import type { MetricsFacts } from '../../web/view.ts'
import { slowActivation, type TermsBegun } from '../activation-time.ts'
import type { ActiveGate, Whereabouts } from '../active-gate.ts'
import type { LoopPauses } from '../loop-pauses.ts'
import type { AstrayWorkers } from '../network/astray-workers.ts'
import type { Others } from '../network/others.ts'
import type { MasterOptions } from '../options.ts'
import { unlistedText } from '../queries/run/admission.ts'
import type { QueryServices } from '../queries/services.ts'
import type { TermHints } from '../term-hints.ts'
import { troubleOf } from './alerts.ts'
import { countWorkers } from './cluster-document.ts'
import { type OwnFacts, othersOf, standingOf } from './cluster-view.ts'
import type { LeaseRecord } from './lease-record.ts'

interface OwnParts {
  readonly options: MasterOptions
  /** Null until the cluster is joined. */
  readonly member: () => Member | null
  readonly guard: Guard
  readonly hints: TermHints
  readonly gate: ActiveGate
  readonly queries: QueryServices
  readonly astray: AstrayWorkers
  readonly others: Others
  readonly record: LeaseRecord
  readonly pauses: LoopPauses
  readonly termsBegun: TermsBegun
}

/** What a line on a watch stream tells of renewals: the worst of so long. */
const PULSE_MS = 1000

export class OwnView {
  readonly #parts: OwnParts
  /** How often it has gone from one state to the next. */
  #transitions = 0
  #told: Standing | null = null
  /** Of the term that is served: that its activation took too long, as a sentence. */
  #slowActivation: string | null = null

  constructor(parts: OwnParts) {
    this.#parts = parts
  }

  /** The catalog is open in that term. */
  activated(term: number, tookMs: number): void {
    const { timing, log } = this.#parts.options
    this.#slowActivation = timing === null ? null : slowActivation(term, tookMs, timing)
    if (this.#slowActivation !== null)
      log('warn', this.#slowActivation, { event: 'activation-slow', term, tookMs })
  }

  /** What only the master itself can tell, beside the election's view. */
  facts(): OwnFacts {
    const { options, guard, hints, queries, astray, others, termsBegun } = this.#parts
    const serving = this.#serving
    return {
      serving,
      term: guard.term(),
      pid: options.pid,
      clusterId: guard.clusterId,
      rootDirectory: options.rootDirectory,
      directoryDangers: [...queries.directoryTroubles().values()],
      workerTroubles: queries
        .workers()
        .flatMap((row) => [
          ...troubleOf(row),
          ...(row.unlisted === true ? [unlistedText(row)] : []),
        ]),
      astrayWorkers: astray.told(queries.workers()),
      directoryWarnings: [
        ...options.directoryWarnings(),
        ...options.warehouse(),
        ...hints.warnings(),
      ],
      warnings: others.alarm.warnings(),
      trouble: queries.trouble(),
      // Whoever is not active any more has heard of it from the next one's history.
      givenUp: serving ? termsBegun.givenUp : null,
      slowActivation: serving ? this.#slowActivation : null,
      foreign: others.foreign(),
    }
  }

  /** What was told last; null before the first view. */
  get told(): Standing | null {
    return this.#told
  }

  /** To be called at each new view of the election: the line to tell, or null when the last one says the same. */
  tell(view: MemberView): Standing | null {
    const before = this.#told
    const now = this.standingOf(view)
    this.#told = now
    if (before?.state !== now.state) this.#transitions += 1
    return before !== null && sameStanding(before, now) ? null : now
  }

  /** Without building a view: a lease that has run out makes no event. */
  state(): string {
    const state = this.#told?.state ?? 'starting'
    return state === 'active' && !this.#serving ? 'suspended' : state
  }

  /** The line for who watches this master. */
  standingOf(view: MemberView): Standing {
    const { options, record } = this.#parts
    const { address, wallMs } = options
    const { renewalMs, marginMs } = record.worst(address, PULSE_MS)
    const pulse = { wallMs: wallMs(), lastRenewalMs: renewalMs, leaseMarginMs: marginMs }
    return standingOf(view, this.facts(), pulse)
  }

  /** It is for clients, beside the answer to their call. */
  service(): ServiceStatus {
    const { options, member, guard, gate, queries } = this.#parts
    const { address } = options
    const term = member()?.term() ?? guard.term()
    const trouble = queries.trouble()
    return { epoch: term, address, inFlight: gate.inFlight, ...(trouble !== null && { trouble }) }
  }

  /** Where a client should go instead. */
  whereabouts(): Whereabouts {
    const { options, member, guard } = this.#parts
    const active = member()?.view().active ?? null
    // While it drains, this master still holds the term, but sending the caller here again would not help him.
    const elsewhere = active !== null && active.address !== options.address
    return { active: elsewhere ? active.addresses.clientRpc : null, epoch: guard.term() }
  }

  /** Why the shared directory should not be written to but for what has to be; null when it may. */
  lowOnSpace(): string | null {
    const space = this.#parts.member()?.view().space ?? null
    if (space === null) return null
    const { low, refused } = space
    if (refused !== null) return `the shared directory takes nothing more: ${refused}`
    return low.bytes || low.files ? 'the shared directory has little room left' : null
  }

  /** Tells the numbers for who scrapes. */
  metrics(): MetricsFacts {
    const { options, member, guard, gate, queries, others, termsBegun, pauses } = this.#parts
    const view = member()?.view() ?? null
    const peers = view === null ? [] : othersOf(view)
    const active = this.#serving
    return {
      state: view?.state ?? 'starting',
      serving: active,
      term: guard.term(),
      leaseMarginMs: view?.leaseMarginMs ?? null,
      lastRenewalMs: view?.lastRenewalMs ?? null,
      storageReadable: view !== null && view.storage !== 'unreadable',
      storageWritable: view?.storage === 'ok',
      catalogWaits: queries.trouble() !== null,
      catalogAgeMs: queries.catalogAgeMs(),
      warehouseAnswers:
        options.warehouse().length === 0 &&
        !queries.directoryTroubles().has('tajo.warehouse.directory'),
      space: view?.space ?? null,
      problems: view === null ? new Map() : this.#problems(view),
      peersKnown: peers.length,
      peersConnected: others.connected,
      heartbeatAgesMs: new Map(
        peers.flatMap(({ address, heartbeatAgeMs }): [string, number][] =>
          heartbeatAgeMs === null ? [] : [[address, heartbeatAgeMs]],
        ),
      ),
      termsBegun: termsBegun.counts,
      stuckWorkers: active ? queries.workers().flatMap(troubleOf).length : null,
      unlistedWorkers: active
        ? queries.workers().filter(({ unlisted }) => unlisted === true).length
        : null,
      workers: active ? countWorkers(queries.workers()) : null,
      queries: active ? countQueries(queries.ofThisTerm()) : null,
      tables: active ? queries.tableCounts() : null,
      transitions: this.#transitions,
      foreignMasters: others.foreign().length,
      otherDirectories: countLevel(view, 'critical'),
      unprovenDirectories: countLevel(view, 'warning'),
      storageDangers: (view?.critical?.length ?? 0) + queries.directoryTroubles().size,
      refusedClusters: guard.refused.cluster,
      refusedSecrets: guard.refused.secret,
      refusedTerms: guard.refused.epoch,
      splitBrainAlarms: others.alarm.count,
      requestsInFlight: gate.inFlight,
      pauses: pauses.read(),
      memoryBytes: process.memoryUsage.rss(),
      startedAtSeconds: options.startedAtSeconds,
    }
  }

  get #serving(): boolean {
    return this.#parts.member()?.mayServe() ?? false
  }

  /** Collects the problems of this master and of those that have told theirs, while none is active. */
  #problems(view: MemberView): Map<string, string> {
    const found = new Map<string, string>()
    if (view.active !== null) return found
    if (view.problem !== null) found.set(view.self.address, view.problem)
    for (const { address } of othersOf(view)) {
      const problem = this.#parts.others.news.of(address)?.problem ?? null
      if (problem !== null) found.set(address, problem)
    }
    return found
  }
}

const countLevel = (view: MemberView | null, level: DirectoryNote['level']): number =>
  (view?.directories ?? []).filter((note) => note.level === level).length

const sameStanding = (a: Standing, b: Standing): boolean =>
  a.state === b.state &&
  a.serving === b.serving &&
  a.epoch === b.epoch &&
  a.active === b.active &&
  a.problem === b.problem
