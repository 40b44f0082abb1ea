/**
 * What can be known of the cluster right now, put together from two independent sources: each master's own answer, and
 * what the shared directory shows. Pure: `look-around.ts` fetches both.
 *
 * A master's own answer counts for more than the directory, and a higher term for more than a lower one. Where neither
 * speaks, the state is unknown, and stays so.
 *
 * Which cluster it is says the directory; only where that says nothing, the masters, if they agree. A master that answers
 * for another one, or for none, which is how older states answer, has said nothing of ours: neither its state nor its term is looked at.
 */
import type {
  DirectoryNote,
  DirectoryPicture,
  InspectedMaster,
  MasterState,
} from '../../ha/index.ts'
import { NAMES_NONE } from '../../rpc/index.ts'
import { sameAddress } from '../address.ts'

/** What a master itself answers to the umbilical status request, as far as the tools use it. */
export interface MasterAnswer {
  readonly address: string
  readonly state: MasterState
  readonly epoch: number
  /** As its answer's header has it. */
  readonly clusterId: string | null
  /** `tajo.rootdir` there. */
  readonly rootDirectory: string | null
  readonly hostname: string | null
  readonly version: string | null
  readonly priority: number | null
  readonly adminSocket: string | null
  /** Why it isn't active or no master is, in its own words. */
  readonly problem: string | null
  /** What it tried last and came to nothing; null: it tells of none. */
  readonly failure: { readonly term: number; readonly text: string } | null
  /** What it knows of other masters' directories that are not its own, or not known to be; older ones tell none. */
  readonly directories: readonly DirectoryNote[]
  /** What else is not as it should be there, and what of it endangers the cluster. */
  readonly warnings: readonly string[]
  readonly critical: readonly string[]
  /** The ages of the others' heartbeats as this master sees them, by address. */
  readonly heartbeatAgesMs: Readonly<Record<string, number>>
}

export type Asked =
  | { readonly answered: true; readonly answer: MasterAnswer }
  /** `refused`: nothing listens at its address. Any other silence says nothing of the process. */
  | {
      readonly answered: false
      readonly why: string
      readonly refused: boolean
      /** A master's answer that names no cluster, or in plain: it is of an older state. */
      readonly namesNone?: true
    }

/** The host is there and says that nothing listens. */
export const isRefused = (asked: Asked): boolean => !asked.answered && asked.refused

/** The cluster that a master says it belongs to, which is not the one that is looked at. */
export interface Foreign {
  /** Null: it names none. */
  readonly clusterId: string | null
  readonly rootDirectory: string | null
}

/** One master from every source that knows it. */
export interface KnownMaster {
  readonly address: string
  /** Listed in conf/masters, or this configuration's own address. */
  readonly configured: boolean
  readonly asked: Asked
  /** It answers, for this other cluster: `asked` says nothing then. */
  readonly foreign: Foreign | null
  readonly inspected: InspectedMaster | null
}

export interface Sight {
  readonly directory: string
  /** It is null where neither the directory nor the masters tell it, or the masters tell several. */
  readonly clusterId: string | null
  readonly picture: DirectoryPicture | null
  /** Why there is no picture. */
  readonly directoryError: string | null
  readonly masters: readonly KnownMaster[]
}

/** Puts the sources together; `asked` holds the answers by address. */
export function sightOf(from: {
  directory: string
  /** As the directory has it, where only that was read of it. */
  clusterId?: string | null
  configured: readonly string[]
  asked: ReadonlyMap<string, Asked>
  picture: DirectoryPicture | null
  directoryError: string | null
}): Sight {
  const { picture, configured } = from
  const addresses = addressesOf(configured, picture)
  const clusterId = from.clusterId ?? picture?.clusterId ?? agreedCluster([...from.asked.values()])
  const masters = addresses.map((address) => {
    const asked = from.asked.get(address) ?? NOT_ASKED
    const foreign = foreignIn(asked, clusterId)
    return {
      address,
      configured: configured.some((one) => sameAddress(one, address)),
      asked: foreign === null ? asked : { ...NOT_ASKED, why: foreignWords(foreign) },
      foreign,
      inspected: picture?.masters.find((one) => sameAddress(one.address, address)) ?? null,
    }
  })
  const { directory, directoryError } = from
  return { directory, clusterId, picture, directoryError, masters }
}

const NOT_ASKED = { answered: false, why: 'not asked', refused: false } as const

function agreedCluster(asked: readonly Asked[]): string | null {
  const told = new Set(asked.flatMap((one) => (one.answered ? (one.answer.clusterId ?? []) : [])))
  const [only] = told
  return told.size === 1 ? (only ?? null) : null
}

/** Null: it is of that cluster, or says nothing. */
export function foreignIn(asked: Asked, clusterId: string | null): Foreign | null {
  if (!asked.answered) {
    return asked.namesNone === true ? { clusterId: null, rootDirectory: null } : null
  }
  const { clusterId: told, rootDirectory } = asked.answer
  return told === clusterId ? null : { clusterId: told, rootDirectory }
}

/** `belongs to cluster X in DIR: its tajo.rootdir differs`, or that it names none. */
export const foreignWords = ({ clusterId, rootDirectory }: Foreign): string =>
  clusterId === null
    ? NAMES_NONE
    : `belongs to cluster ${clusterId}${rootDirectory === null ? '' : ` in ${rootDirectory}`}: its tajo.rootdir differs`

/** Masters that answer for other clusters or for none, a sentence each. */
export const foreignMasters = ({ masters }: Sight): string[] =>
  masters.flatMap(({ address, foreign }) =>
    foreign === null ? [] : [`${address} ${foreignWords(foreign)}`],
  )

/** Every address that the configuration or the directory knows, once. */
export function addressesOf(
  configured: readonly string[],
  picture: DirectoryPicture | null,
): string[] {
  const seen: string[] = []
  const found = (picture?.masters ?? []).map((one) => one.address)
  for (const address of [...configured, ...found]) {
    if (!seen.some((one) => sameAddress(one, address))) seen.push(address)
  }
  return seen
}

/** The master that says it is active, in the highest term; null when none says so. */
export function answeringActive(sight: Sight): MasterAnswer | null {
  const actives = sight.masters.flatMap(({ asked }) =>
    asked.answered && asked.answer.state === 'active' ? [asked.answer] : [],
  )
  return actives.sort((a, b) => b.epoch - a.epoch)[0] ?? null
}

/** The address of the active master by its own word, else by a lease that was seen to be renewed; null for neither. */
export function activeAddress(sight: Sight): string | null {
  const answering = answeringActive(sight)
  if (answering !== null) return answering.address
  const renewing = sight.picture?.masters.find((m) => m.state === 'active' && m.pulse === 'live')
  if (renewing === undefined) return null
  const known = sight.masters.find((m) => sameAddress(m.address, renewing.address))
  // It renews its lease, but says itself that it isn't active: activating, suspended or stepping down.
  return known?.asked.answered === true ? null : renewing.address
}

/** The newest term that a master has seen begin: its holder is the one to follow. */
export const begunTerm = (sight: Sight): number =>
  Math.max(0, ...sight.masters.map(({ asked }) => (asked.answered ? asked.answer.epoch : 0)))

/** The newest number that anybody has told of, also by a claim that came to nothing. */
export const newestTerm = (sight: Sight): number =>
  Math.max(sight.picture?.epoch ?? 0, begunTerm(sight))

/** Why no master is active, as a sentence; null when one is. */
export function problemOf(sight: Sight): string | null {
  if (activeAddress(sight) !== null) return null
  const told = sight.masters.flatMap(({ address, asked }) =>
    asked.answered && asked.answer.problem !== null
      ? [`${address} says: ${asked.answer.problem}`]
      : [],
  )
  const seen = sight.picture === null ? "the shared directory can't be read" : sight.picture.problem
  // What a master has tried itself says more than what the directory shows.
  const known = [...told, seen].filter((reason) => reason !== null)
  return known.length > 0 ? known.join('; ') : 'no master says that it is active'
}
