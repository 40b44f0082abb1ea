/**
 * What a term tells and keeps of its queries: the records that people see, each of whose changes is a line in the query
 * log, and what the log of earlier terms tells this one. Nobody waits for the log but a hand-over, for a moment.
 */

import { type Audit, noAudit } from '../../../base/audit.ts'
import type { Log } from '../../../base/log.ts'
import { type Clock, pause } from '../../../base/time.ts'
import type { Outcome } from '../../../catalog/index.ts'
import type { QueryRecord } from '../../../contract/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import { type Asked, askedOf, auditEnd } from './asked.ts'
import { failureOf, type QueryList } from './list.ts'
import { isBackground, type Query, recordOf } from './query.ts'
import type { QueryHistory } from './query-history.ts'
import { type LogLine, QueryLog } from './query-log.ts'
import { endOf } from './recorder.ts'
import { isGivenUp } from './write-end.ts'

interface TermRecordsOptions {
  readonly term: number
  /** This master's address. */
  readonly address: string
  readonly list: QueryList
  readonly catalog: CatalogPort
  readonly logDirectory: string
  readonly history: QueryHistory
  readonly clock: Clock
  readonly awakeMs: () => number
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

/** Between two tries to read the earlier terms' query log. */
const INHERIT_PAUSE_MS = 1000

export class TermRecords {
  readonly #options: TermRecordsOptions
  readonly #log: QueryLog
  #over = false

  constructor(options: TermRecordsOptions) {
    const { term, list, logDirectory: directory, history, clock, log } = options
    this.#options = options
    this.#log = new QueryLog({
      directory,
      term,
      clock,
      log,
      listener: history,
      onPart: () => void history.removeSpent(term),
      onGone: () => {
        for (const query of list.all()) this.note(query)
      },
    })
  }

  /** What this term knows of its queries, newest last. */
  all(): QueryRecord[] {
    return [...this.#options.list.all()].map((query) => this.#recordOf(query))
  }

  /** It has changed. */
  note(query: Query): void {
    this.#log.add(this.#lineOf(query))
  }

  /** It has ended: auditors are told, unless nobody had asked for it. */
  ended(query: Query): void {
    if (!isBackground(query)) this.#auditEnd(this.#recordOf(query), query.asked)
  }

  /** Unless its client submits it again this is its end. */
  dropped(query: Query, why: string): void {
    const { query: record, spot } = this.#lineOf(query)
    const failures = [...query.failures, failureOf(query, why)]
    const ended = { ...endedWithMaster(record), failures }
    this.#log.add({ query: ended, spot })
    if (!isBackground(query)) this.#auditEnd(ended, query.asked)
  }

  flush(): Promise<void> {
    return this.#log.flush()
  }

  /** The term is over. */
  close(): void {
    this.#over = true
    this.#log.close()
  }

  /**
   * What the earlier terms' log tells: queries whose workers should come back with them, and the history, which goes
   * into this term's file so that the old ones can be removed. Nothing waits for it: a worker that is back before its
   * query was read is believed all the same.
   */
  async inherit(): Promise<void> {
    const { list, catalog, history, term, awakeMs, clock } = this.#options
    let lines = await history.allLines()
    while (lines === null && !this.#over) {
      await pause(clock, INHERIT_PAUSE_MS)
      lines = await history.allLines()
    }
    if (this.#over) return
    for (const { query, spot, asked = null } of lines?.values() ?? []) {
      const known = list.get(query.queryId)
      if (known !== null) list.recalls(known, asked)
      // Its own file has them already; a master without high availability is in term 1 at each start.
      if (known !== null || query.epoch > term) continue
      const isOpen = query.state === 'running' || query.state === 'queued'
      const outcome = catalog.state().outcome(query.queryId)
      const over = isGivenUp(catalog.state(), query.queryId, query.attempt)
      if (isOpen && spot !== null && outcome === null && !over) {
        list.expect({ ...query, task: null, asked }, spot, query.startedMs, awakeMs())
      } else if (isOpen || query.epoch < term) {
        const end = isOpen ? closed(query, outcome) : query
        this.#log.add({ query: end, spot })
        // Whoever had it told nobody of an end. The joining of files that nobody asked for has no client either.
        if (isOpen && asked !== null) this.#auditEnd({ ...end, epoch: term }, asked)
      }
    }
    await this.#log.flush()
    if (!this.#over && this.#log.dropped === 0) await history.removeBelow(term)
    await history.removeSpent(term)
  }

  #lineOf(query: Query): LogLine {
    const { spot, asked, stage } = query
    const isOpen = stage !== 'ended' && asked !== null
    return { query: this.#recordOf(query), spot, ...(isOpen && { asked }) }
  }

  /** Of one that a worker came with before the log of its term was read, what its text says. */
  #auditEnd(record: QueryRecord, asked: Asked | null): void {
    const { audit = noAudit, catalog } = this.#options
    auditEnd(audit, record, asked ?? askedOf(null, { ...record, from: null }, catalog.state()))
  }

  #recordOf(query: Query): QueryRecord {
    const { address: master, term } = this.#options
    return recordOf(query, { master, term })
  }
}

const endedWithMaster = (query: QueryRecord): QueryRecord => ({
  ...query,
  state: 'failed',
  error: { message: 'its master ended before it did', place: null, kind: 'lost' },
})

/** Its end is in the catalog, or nobody ever gave it to a worker: its client asks again, if he still wants to know. */
function closed(query: QueryRecord, outcome: Outcome | null): QueryRecord {
  if (outcome === null) return endedWithMaster(query)
  const { state, rows = null, message = null, error = null } = endOf(outcome)
  return { ...query, state, rows, message, error, finishedMs: outcome.atMs }
}
