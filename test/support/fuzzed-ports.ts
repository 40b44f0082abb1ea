/** A process with the ports among the daemons, whose methods note that they were called: told over IPC when asked. */
import { systemClock } from '../../lib/base/time.ts'
import { type ServiceName, services } from '../../lib/contract/index.ts'
import { Guard, openAll, rpcServer } from '../../lib/serve/index.ts'
import { freePortRow } from './free-ports.ts'

/** What came through, and what it costs. */
export interface FuzzedFacts {
  /** Methods that need the cluster's secret, and were called. */
  readonly letIn: readonly string[]
  readonly rssBytes: number
  /** The longest that a beat of 50 ms was late. */
  readonly lateMs: number
}

export const FUZZED = ['umbilical', 'tracker', 'catalog', 'worker'] as const
export const FUZZED_CLUSTER = 'cluster-1'
const BEAT_MS = 50

async function openPorts(secret: string): Promise<number[]> {
  const letIn: string[] = []
  const guard = new Guard({
    authentication: 'password',
    wallMs: Date.now,
    term: () => 7,
    onNewerTerm: () => {},
    onRefused: () => {},
  })
  guard.join({ clusterId: FUZZED_CLUSTER, secret })
  const gate = {
    enter: () => ({
      ...{ term: 7, signal: new AbortController().signal, confirm: () => {}, leave: () => {} },
    }),
  }
  const options = { guard, gate, clock: systemClock, beatMs: 1000, log: () => {} }
  const handlersOf = (name: ServiceName) =>
    Object.fromEntries(
      Object.entries(services[name]).map(([method, { access }]) => [
        method,
        () => {
          if (access === 'cluster') letIn.push(`${name}.${method}`)
          return {}
        },
      ]),
    )
  const first = await freePortRow(FUZZED.length)
  const ports = await openAll(
    FUZZED.map((name, i) => ({
      app: rpcServer(name, handlersOf(name) as never, options),
      bind: { key: name, host: '127.0.0.1', port: first + i },
    })),
  )
  let lateMs = 0
  let dueMs = performance.now() + BEAT_MS
  setInterval(() => {
    lateMs = Math.max(lateMs, performance.now() - dueMs)
    dueMs = performance.now() + BEAT_MS
  }, BEAT_MS)
  process.on('message', () => {
    const facts: FuzzedFacts = { letIn, rssBytes: process.memoryUsage.rss(), lateMs }
    process.send?.(facts)
    lateMs = 0
  })
  return ports
}

const [, , secret] = process.argv
if (process.send !== undefined && secret !== undefined) process.send(await openPorts(secret))
