/**
 * `POST /api/v1/sql`: one statement, its progress and its rows as lines of JSON over one answer. Whoever breaks it off
 * ends the query. Rows are passed on as fast as they are read and no faster; how many statements run here at a time is
 * bounded, since this is a page for people and not the way for programs.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Audit, noAudit } from '../base/audit.ts'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { faultOf } from '../contract/index.ts'
import { LineWriter, RpcError } from '../rpc/index.ts'
import { requireOwnPage, requireSql } from './callers.ts'
import { sqlRequest } from './schemas.ts'
import type { SqlLine, WebRules, WebView } from './view.ts'
import { visitorOf } from './visitors.ts'

interface SqlOptions {
  readonly view: WebView
  readonly rules: WebRules
  readonly clock: Clock
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

const MOST_AT_A_TIME = 16
const BEAT_MS = 5000
/** So long may a browser read nothing. */
const PATIENCE_MS = 30_000

export class SqlAnswers {
  readonly #options: SqlOptions
  readonly #running = new Set<AbortController>()

  constructor(options: SqlOptions) {
    this.#options = options
  }

  /** Throws RpcError before the answer begins; afterwards an error is the last line. */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { view, rules, clock, audit = noAudit } = this.#options
    requireOwnPage(request)
    const mode = requireSql(request, rules)
    const wanted = sqlRequest.safeParse(request.body)
    if (!wanted.success) throw new RpcError('BAD_REQUEST', faultOf(wanted.error))
    if (mode === 'read' && !(await view.readsOnly(wanted.data.sql))) {
      const text = 'tajo.master.info-http.sql is read: the web page runs only statements that read'
      throw new RpcError('FORBIDDEN', text)
    }
    if (this.#running.size >= MOST_AT_A_TIME) {
      throw new RpcError('UNAVAILABLE', `${MOST_AT_A_TIME} statements of pages run here already`)
    }
    const end = new AbortController()
    this.#running.add(end)
    reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    const writer = new LineWriter<SqlLine>(reply.raw, { clock, beatMs: BEAT_MS })
    writer.onClose(() => end.abort())
    try {
      await view.run(wanted.data, visitorOf(request), end.signal, {
        say: (line) => {
          if ('queryId' in line) {
            audit('page', { asks: 'statement', queryId: line.queryId, from: request.ip })
          }
          writer.send(line)
        },
        rows: (line) => writer.sendText(JSON.stringify(line), PATIENCE_MS),
      })
    } catch (error) {
      this.#fail(writer, error)
    } finally {
      this.#running.delete(end)
      writer.end()
    }
  }

  /** This master ends: its streams do. */
  close(): void {
    for (const end of this.#running) end.abort()
  }

  #fail(writer: LineWriter<SqlLine>, error: unknown): void {
    this.#options.log('error', `a statement of a page failed: ${messageOf(error)}`, {
      event: 'page-statement-failed',
      error,
    })
    const message = 'a mistake in the software; the log of this master tells more'
    writer.send({ error: { message, place: null, kind: 'internal' } })
  }
}
