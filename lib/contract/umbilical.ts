/** What masters and whoever looks after them say to each other: how a master stands, and whose directory is whose. */
import { z } from 'zod'
import { address, call, epoch, type ServiceContract } from './method.ts'

const state = z.enum([
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
])

/** How a master stands, in a line. `serving` is judged by the clock at the moment of writing it. */
const standing = z.object({
  address,
  state,
  serving: z.boolean(),
  epoch,
  /** Umbilical address of the active master as this one knows it. */
  active: address.nullable(),
  /** This is the writer's wall clock, ms since 1970, and the worst of its last second or two, for status pages. */
  wallMs: z.number().nullish(),
  lastRenewalMs: z.number().nullish(),
  leaseMarginMs: z.number().nullish(),
  /** Why it isn't active, or why no master is; null when all is well. */
  problem: z.string().nullish(),
})

const masterStatus = standing.extend({
  /** Client RPC address of the active master. */
  activeClient: address.nullable(),
  clusterId: z.string().nullable(),
  /** Of the cluster's files: tajo.rootdir. */
  rootDirectory: z.string().nullable(),
  hostname: z.string(),
  pid: z.number().int(),
  version: z.string(),
  priority: z.number(),
  /** Path of the Unix socket on its own host that takes changing commands. */
  adminSocket: z.string().nullable(),
  /** Why it isn't active, or why no master is; null when all is well. */
  problem: z.string().nullable(),
  /** What it tried last and came to nothing, in which term; none once it has served. */
  failure: z.object({ term: epoch, text: z.string() }).optional(),
  /** Of the other masters whose directory is another one, or not known to be this one's. */
  directories: z
    .array(z.object({ address, level: z.enum(['critical', 'warning']), text: z.string() }))
    .optional(),
  warnings: z.array(z.string()),
  /** Those of them that endanger the cluster until somebody mends them. */
  critical: z.array(z.string()).optional(),
  leaseMarginMs: z.number().nullable(),
  /** Of the other masters, by umbilical address. */
  heartbeatAgesMs: z.record(z.string(), z.number()),
})

export const sideOfContest = z.enum(['open', 'exists', 'created', 'unknown'])
const incarnation = z.string().max(300)

/** What a master tells another of itself and its directory (lib/ha, contest.ts). */
const contestFacts = z.object({
  address,
  clusterId: z.string().max(100),
  /** Its HA directory, for people. */
  directory: z.string().max(4096),
  priority: z.number(),
  by: incarnation,
  mount: z.number().int(),
  served: epoch,
  holds: z.object({ term: epoch, by: incarnation }).nullable(),
})
const contestTold = contestFacts.extend({ mine: sideOfContest, toward: incarnation.nullable() })
/** A name in the directory, and no path out of it. */
export const nonce = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,250}$/)
export const contestLetter = contestTold.extend({ nonce: nonce.nullable() })
export const contestReply = contestTold.extend({
  check: z.enum(['exists', 'created', 'unknown']).nullable(),
})

export const umbilical = {
  status: call(
    { access: 'who', activeOnly: false },
    z.object({
      /** A master that asks says who it is. */
      from: z.object({ address, clusterId: z.string().max(100) }).optional(),
    }),
    masterStatus,
  ),
  /** "I have become active", "I have stepped down": the others look at the directory at once. */
  announce: call(
    { access: 'cluster', activeOnly: false },
    z.object({ address, state, epoch }),
    z.object({ epoch }),
  ),
  /** Is your directory mine? `seal`: by the cluster's secret, over what is said (lib/master, contest-letters.ts). */
  contest: call(
    { access: 'who', activeOnly: false },
    z.object({ letter: contestLetter, seal: z.string().max(100) }),
    z.object({
      /** Null: caller and called name different clusters; `facts` then says which this is. */
      reply: contestReply.nullable(),
      facts: contestFacts.nullable(),
      /** The caller is in the list of the called. */
      lists: z.boolean(),
      seal: z.string().max(100),
    }),
  ),
  /** A line is sent at once, at every change, and at least once a beat. */
  watch: {
    kind: 'stream',
    access: 'cluster',
    request: z.object({ from: address }),
    line: standing,
  },
} as const satisfies ServiceContract

export type Standing = z.output<typeof standing>
export type MasterStatus = z.output<typeof masterStatus>
export type ContestRequest = z.output<(typeof umbilical.contest)['request']>
export type ContestAnswer = z.output<(typeof umbilical.contest)['answer']>
export type Announcement = z.output<(typeof umbilical.announce)['request']>
