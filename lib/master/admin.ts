/**
 * These are the orders that change something: handing over, taking over, stopping. They are served on a Unix socket that
 * only the cluster's OS user can open (`daemon/admin-socket.ts`), so they carry no secret; `by` is for logs and the
 * history.
 *
 * A refusal keeps the election's own code (UNSAFE, NOT_ACTIVE, TIMEOUT, …), from which haadmin makes its exit code.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Audit, noAudit } from '../base/audit.ts'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { MasterStatus } from '../contract/index.ts'
import { HaError, type Member } from '../ha/index.ts'
import { RpcError, requireForUs } from '../rpc/index.ts'
import { limitedServer } from '../serve/index.ts'

const by = z.string().min(1).max(200)
const ORDERS = {
  handOver: z.object({ successor: z.string().max(300).nullable(), force: z.boolean(), by }),
  takeOver: z.object({ force: z.boolean(), by }),
  stop: z.object({ by }),
}

interface AdminOptions {
  /** Null until the cluster is joined. */
  readonly member: () => Member | null
  readonly status: () => MasterStatus
  /** Begins the orderly end of this process. */
  readonly stop: (why: string) => void
  readonly term: () => number
  /** Null until it is joined. */
  readonly clusterId: () => string | null
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

/** Listening is its owner's business: `ready()`, then `server.listen`. */
export type AdminServer = FastifyInstance

/** Makes a server for the admin socket, which does not listen yet. */
export function adminServer(options: AdminOptions): AdminServer {
  const app = limitedServer(options)
  // An order is for one cluster: a socket's path may be another's by now.
  app.addHook('onRequest', async ({ method, headers }) => {
    const own = options.clusterId()
    if (method === 'POST' && own !== null) requireForUs(headers, own)
  })
  const order = <S extends z.ZodType>(
    name: string,
    schema: S,
    run: (order: z.output<S>) => Promise<void> | void,
  ): void => {
    app.post(`/admin/${name}`, async (request: FastifyRequest, reply: FastifyReply) => {
      const wanted = schema.safeParse(request.body ?? {})
      if (!wanted.success) throw new RpcError('BAD_REQUEST', z.prettifyError(wanted.error))
      options.log('info', `order: ${name}`, { event: 'order-received', ...(wanted.data as object) })
      const audit = (refused: string | null): void =>
        (options.audit ?? noAudit)('order', {
          ...{ order: name, from: 'the admin socket', ...(wanted.data as object), refused },
        })
      try {
        await run(wanted.data)
        audit(null)
        return {}
      } catch (error) {
        audit(messageOf(error))
        if (!(error instanceof HaError)) throw error
        options.log('warn', `order ${name} refused: ${error.message}`, {
          event: 'order-refused',
          code: error.code,
        })
        return reply.code(409).send({ code: error.code, message: messageOf(error) })
      }
    })
  }
  order('handOver', ORDERS.handOver, ({ successor, force, by }) =>
    joined(options).handOver(successor, { force, by }),
  )
  order('takeOver', ORDERS.takeOver, ({ force, by }) => joined(options).takeOver({ force, by }))
  order('stop', ORDERS.stop, ({ by }) => options.stop(`stopped by ${by}`))
  app.get('/admin/status', () => options.status())
  return app
}

function joined({ member }: AdminOptions): Member {
  const found = member()
  if (found === null) {
    throw new RpcError('UNAVAILABLE', 'this master has not joined its cluster yet')
  }
  return found
}
