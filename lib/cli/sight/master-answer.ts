/**
 * A master's answer to the umbilical status request (`umbilical.status` in rpc/contract.ts), read by hand: the contract's
 * own parser costs more time to load than everything else that `haadmin -getState` does.
 *
 * Without address, state and epoch it is no master's answer. Everything else may be missing, so that this tool can ask
 * masters of other versions.
 */
import type { MasterState } from '../../ha/index.ts'
import type { MasterAnswer } from './sight.ts'

const STATES: Readonly<Record<MasterState, true>> = {
  starting: true,
  backup: true,
  activating: true,
  active: true,
  suspended: true,
  'stepping-down': true,
  stopped: true,
}
const isState = (value: unknown): value is MasterState =>
  typeof value === 'string' && Object.hasOwn(STATES, value)

/** Null for what is no master's answer. */
export function readAnswer(body: unknown): MasterAnswer | null {
  if (typeof body !== 'object' || body === null) return null
  const { address, state, serving, epoch, ...rest } = body as Record<string, unknown>
  if (typeof address !== 'string' || !isState(state)) return null
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch)) return null
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  return {
    address,
    // An active master whose lease has run out serves nobody: its keeper is about to tell it so.
    state: state === 'active' && serving === false ? 'suspended' : state,
    epoch,
    clusterId: text(rest.clusterId),
    rootDirectory: text(rest.rootDirectory),
    hostname: text(rest.hostname),
    version: text(rest.version),
    priority: typeof rest.priority === 'number' ? rest.priority : null,
    adminSocket: text(rest.adminSocket),
    problem: text(rest.problem),
    failure: failureOf(rest.failure),
    directories: notesOf(rest.directories),
    warnings: textsOf(rest.warnings),
    critical: textsOf(rest.critical),
    heartbeatAgesMs: agesOf(rest.heartbeatAgesMs),
  }
}

const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : []).filter((one) => typeof one === 'string')

function notesOf(value: unknown): MasterAnswer['directories'] {
  return (Array.isArray(value) ? value : []).flatMap((one: unknown) => {
    const { address, level, text } = (one ?? {}) as Record<string, unknown>
    if (typeof address !== 'string' || typeof text !== 'string') return []
    return [{ address, text, level: level === 'critical' ? 'critical' : 'warning' } as const]
  })
}

function failureOf(value: unknown): MasterAnswer['failure'] {
  const { term, text } = (value ?? {}) as { term?: unknown; text?: unknown }
  return typeof term === 'number' && typeof text === 'string' ? { term, text } : null
}

function agesOf(value: unknown): Record<string, number> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries(entries.filter(([, age]) => typeof age === 'number'))
}
