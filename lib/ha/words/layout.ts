/**
 * Names and formats of everything in the HA directory; `decode.ts` reads them.
 *
 *     cluster.json                        cluster id and generation, format version, fingerprint of the catalog
 *     cluster.aside-ID-0.json             its text in the new format, while a directory of an older one is migrated
 *     cluster.next.json                   the same on a storage that renames over no file
 *     secret                              shared secret of the cluster's daemons, mode 0600
 *     secret.next                         the new one of a migration, for a moment: who creates it decides
 *     single.json                         a master without high availability uses the directory alone (not this library's)
 *     active/epoch-0000000042/heartbeat   the lease: its mtime is the holder's counter
 *     active/epoch-0000000042/claim.json  exclusive create, decides: "open" with its holder, or "closed"
 *     active/epoch-0000000042/end.json    the holder's last word: why it ended and for whom (information)
 *     active/epoch-0000000042/served.json it serves, or has served: the same as the history's, where that is removed
 *     backup/host2_26001.NONCE-7.json     one for each backup, its seventh registration; mtime renewed the same way
 *     backup/host2_26001.refused          a master refused at its start for its catalog, for the active's page (refusals.ts)
 *     backup/order-….order, ….reply       an order through the directory, and what became of it (directory-order.ts)
 *     backup/host2_26001.network-…-7      what a member hears over the network, offers and answers (network-publication.ts)
 *     backup/host2_26001.asked            the active asks for proof that this backup can make its files (hand-over-proof.ts)
 *     backup/host2_26001.cannot-ENOSPC    … and that it can't, and why
 *     reserve/host2_26001/…               room kept for that master's next claim (reserve.ts)
 *     proven/host2.ID.json                that host's mount has passed a check with another host (mount-mark.ts)
 *     history/0000000042.json             exclusive create: this number is taken for ever, by whom and why
 *     history/0000000042.opened.json      exclusive create: it was opened, or swept and can't be any more
 *     history/0000000042.served.json      exclusive create, before the term serves: how long each phase took
 *     history/0000000018-0000000529.void  nobody has opened one of these, nor ever will (void-terms.ts)
 *
 * Existence decides, content informs: every file here can be torn by a crash between create and write, and every
 * reader must say the safe thing then. No name has a ':' (HDFS forbids it).
 */
import type { Periods } from '../rules/periods.ts'
import type { ProcessIdentity } from '../world/ports.ts'

/**
 * Raised when the meaning of a file changes; a directory of a newer version is refused, one of an older version is
 * migrated by the first master that starts when none lives (migrate.ts).
 *
 *     2   cluster.json has a generation, and is made again by the holder alone; terms name their cluster
 *     3   the catalog's terms begin with references, which older versions must not pass over
 *     4   the secret is one that never went over the network: daemons prove it, and older ones sent it
 */
export const FORMAT_VERSION = 4

export const ACTIVE_DIR = 'active'
export const BACKUP_DIR = 'backup'
/** Nonces of the contest, each for a moment (contest.ts). */
export const CONTEST_DIR = 'contest'
export const HISTORY_DIR = 'history'
export const RESERVE_DIR = 'reserve'
export const MARK_DIR = 'proven'
/** Name of the file in the HA directory that says which cluster it is: `ClusterFile` as JSON. */
export const CLUSTER_FILE = 'cluster.json'
export const NEXT_CLUSTER_FILE = 'cluster.next.json'
/** `cluster.aside-ID-0.json` */
export const ASIDE = 'cluster.aside-'
/** Name of the file in the HA directory that holds the secret of the cluster's daemons, as one line. */
export const SECRET_FILE = 'secret'
/** The one that a migration puts in its place. */
export const NEXT_SECRET_FILE = 'secret.next'
const SHORTEST_SECRET = 32
/** Whether that is all of a secret, which has 32 characters at least; what is shorter is torn or foreign. */
export const isSecret = (text: string): boolean => text.length >= SHORTEST_SECRET

const termText = (term: number): string => String(term).padStart(10, '0')
export const termDir = (term: number): string => `${ACTIVE_DIR}/epoch-${termText(term)}`
export const heartbeatFile = (term: number): string => `${termDir(term)}/heartbeat`
export const claimFile = (term: number): string => `${termDir(term)}/claim.json`
export const endFile = (term: number): string => `${termDir(term)}/end.json`
export const historyFile = (term: number): string => `${HISTORY_DIR}/${termText(term)}.json`
export const openedFile = (term: number): string => `${HISTORY_DIR}/${termText(term)}.opened.json`
export const servedFile = (term: number): string => `${HISTORY_DIR}/${termText(term)}.served.json`
/** The second copy: whoever removes one of them, with a catalog, must not make the term look like one that never served. */
export const servedCopy = (term: number): string => `${termDir(term)}/served.json`
export const voidFile = (from: number, to: number): string =>
  `${HISTORY_DIR}/${termText(from)}-${termText(to)}.void`

/** `host2:26001` → `backup/host2_26001.json`, as earlier versions called it. IPv6 colons become `_` as well. */
export const backupFile = (address: string): string =>
  `${BACKUP_DIR}/${address.replaceAll(/[^A-Za-z0-9.-]/g, '_')}.json`

/** The n-th registration of a keeper's life among the backups: no name is used twice, so no absence of it is remembered. */
export const registrationFile = (address: string, life: string, n: number): string =>
  backupFile(address).replace(/\.json$/, `.${life.replaceAll(/[^A-Za-z0-9.]/g, '_')}-${n}.json`)

/**
 * Whether a name among the backups' files is a registration of that address, from whatever life. An address ends with
 * `_` and its port, a registration with `-` and its number, so neither can look like the other.
 */
export function isRegistrationOf(address: string, name: string): boolean {
  const old = backupFile(address).slice(BACKUP_DIR.length + 1)
  const stem = old.slice(0, -'json'.length)
  return name === old || (name.startsWith(stem) && /-\d{1,10}\.json$/.test(name))
}

/** Never a backup's name, whatever the address: that ends in .json. */
export const refusedFile = (address: string): string =>
  backupFile(address).replace(/\.json$/, '.refused')

/** Two words of a hand-over to that backup. */
export const askedFile = (address: string): string =>
  backupFile(address).replace(/\.json$/, '.asked')
export const cannotFile = (address: string, errno: string): string =>
  backupFile(address).replace(/\.json$/, `.cannot-${errno}`)

/** Where that master keeps room for its next claim. */
export const reserveDir = (address: string): string =>
  `${RESERVE_DIR}/${backupFile(address).slice(BACKUP_DIR.length + 1, -'.json'.length)}`

/** The term in a name of `active/`, or null for a name that isn't ours. */
export function termOf(name: string): number | null {
  const match = /^epoch-(\d{10})$/.exec(name)
  return match ? Number(match[1]) : null
}

/** The term in a name of `history/`, for its record or what it says of having served, or null. */
export function historyTermOf(name: string): { term: number; served: boolean } | null {
  const match = /^(\d{10})(\.served)?\.json$/.exec(name)
  return match ? { term: Number(match[1]), served: match[2] !== undefined } : null
}

/** The term that a name of `history/` says was opened (or swept), or null. */
export function openedTermOf(name: string): number | null {
  const match = /^(\d{10})\.opened\.json$/.exec(name)
  return match ? Number(match[1]) : null
}

/** The numbers that a name of `history/` says are void, the first and the last, or null. */
export function voidRangeOf(name: string): { from: number; to: number } | null {
  const match = /^(\d{10})-(\d{10})\.void$/.exec(name)
  return match ? { from: Number(match[1]), to: Number(match[2]) } : null
}

/**
 * The heartbeat's three reserved mtimes, in milliseconds: days in January 1970, where no counter ever stands, and whole
 * seconds, so that every file system keeps them exactly.
 */
export const RELEASED_MTIME_MS = 86_400_000
export const RELEASED_FOR_MTIME_MS = 2 * 86_400_000
/** Released without having served: what the holder had to open was refused. */
export const REFUSED_MTIME_MS = 3 * 86_400_000
/** Counters start above this (2001-09-09). */
export const LOWEST_COUNTER_MS = 1_000_000_000_000

type Release = 'no' | 'released' | 'released-for' | 'refused'
export function releaseOf(mtimeMs: number): Release {
  if (Math.abs(mtimeMs - RELEASED_MTIME_MS) < 1000) return 'released'
  if (Math.abs(mtimeMs - RELEASED_FOR_MTIME_MS) < 1000) return 'released-for'
  if (Math.abs(mtimeMs - REFUSED_MTIME_MS) < 1000) return 'refused'
  return 'no'
}

/**
 * The five addresses a master answers at, as `host:port`, each under the name of its configuration key. The library only
 * tells them to others; all are empty for a tool that holds a term.
 */
export interface Addresses {
  /** Where masters talk with each other: its name in the cluster. */
  readonly umbilical: string
  /** Where clients send statements. */
  readonly clientRpc: string
  /** Where workers register. */
  readonly resourceTracker: string
  /** Where the catalog is read. */
  readonly catalog: string
  /** Its page and its HTTP interface. */
  readonly infoHttp: string
}

/** One master process as the directory knows it. */
export interface Holder {
  /** The umbilical address: the master's name in the cluster. */
  readonly address: string
  /** Where it answers. */
  readonly addresses: Addresses
  /** A UUID that is new at every start of a master. */
  readonly nonce: string
  /** Its host's own name. */
  readonly hostname: string
  /** Its process, as its host can prove it. */
  readonly master: ProcessIdentity
  /** When it was started, in ISO 8601, by its host's wall clock. */
  readonly startedAt: string
  /** The version of what it serves, in its own words. */
  readonly version: string
  /** Of several that could claim a term the highest one goes first, of equals the first address; 0 claims none by itself. */
  readonly priority: number
  /** Path of the Unix socket on its own host that takes changing commands. */
  readonly adminSocket: string
  /** Whose network it is on: members with the same value hear each other without any (`hostNetwork`). */
  readonly network?: string
  /** Those of its terms; none in a file of an older version. */
  readonly periods?: Periods
  /** Of the directory, as its version writes it (`FORMAT_VERSION`); none in a file of a version before format 3. */
  readonly format?: number
}

/** Of a master that has not told: that of its host. */
export const networkOf = ({ network, master }: Pick<Holder, 'network' | 'master'>): string =>
  network ?? master.bootId

export type Claim =
  | {
      readonly state: 'open'
      readonly term: number
      readonly holder: Holder
      readonly nonce: string
    }
  | {
      readonly state: 'closed'
      readonly term: number
      readonly closedBy: number
      readonly nonce: string
    }

/** Why a term ended, in its holder's own words: of one that `gave-up`, `by` is the reason. */
export type EndReason = 'stopped' | 'handed-over' | 'master-died' | 'master-hung' | 'gave-up'
/** What a term's holder, or its keeper for it, has left as the last word. */
export interface End {
  /** Why it ended. */
  readonly reason: EndReason
  /** Who ended it, or, of one that gave up, why. */
  readonly by: string
  /** What it was at when it died, where that says something; left out by earlier versions. */
  readonly during?: 'opening'
  /** Address of the named successor, or null. */
  readonly successor: string | null
  /** When, in ISO 8601. */
  readonly at: string
}

/**
 * Why a term began: as the first one, or since the holder let go (for somebody: `handed-over`), died or fell silent. A command
 * or a format begins one too. A `swept` number was never held.
 */
export type ClaimReason =
  | 'first-start'
  | 'released'
  | 'handed-over'
  | 'process-dead'
  | 'expired'
  | 'command'
  | 'format'
  | 'swept'

/** How a term began: history/N.json, by which its number is taken for ever. Times are ISO 8601, by the holder's wall clock. */
export interface TermRecord {
  /** Its number. */
  readonly term: number
  /** Umbilical address of its holder, or the name of the tool that took it. */
  readonly address: string
  /** The holder's host. */
  readonly hostname: string
  /** The holder's process (`Holder.nonce`), or the tool's. */
  readonly nonce: string
  /** Why it began. */
  readonly reason: ClaimReason
  /** What the winner had seen, as a sentence. */
  readonly evidence: string
  /** Who had asked for it; left out where nobody had, and by earlier versions. */
  readonly orderedBy?: string
  /** The newest term before it; 0 for none. */
  readonly previousTerm: number
  /** Who held that one; null where nobody is known to have. */
  readonly previousAddress: string | null
  /** When it was claimed. */
  readonly at: string
  /** They hold for the whole term; none in a file of an older version, nor in a tombstone. */
  readonly periods?: Periods
  /** The kind of mount that its holder works on, such as `nfs4`; none in a file of an older version, nor in a command's. */
  readonly mount?: string
  /** Whose term it is, from format 2 on; of a format's own term: as it is since. */
  readonly clusterId?: string
  /** How often the directory had been formatted then, from 1; as `clusterId` from format 2 on. */
  readonly generation?: number
}

/** That a term has served, and how it came to that: history/N.served.json. */
export interface ServedRecord {
  /** Its number. */
  readonly term: number
  /** Of the master's life, to tell its own file after an answer was lost. Earlier versions left it out, and so do tools. */
  readonly nonce?: string
  /** When that was put on record, in ISO 8601: it serves one renewal later. */
  readonly servedAt: string
  /** The predecessor's own last word; null where it left none. */
  readonly previousEnd: End | null
  /** What came to nothing before this term, in its holder's hands: `could not claim term 2 (12 times): ENOSPC …`. */
  readonly trouble?: string
  /** How long each step took. */
  readonly phases: Phases
  /** What the service keeps under this term, in its own words: nothing here reads them. Earlier versions left it out. */
  readonly catalog?: string
}

/** How long each step of a take-over took, in ms: each from the end of the one before. All are 0 for a tool. */
export interface Phases {
  /** From the predecessor's last seen heartbeat to the notice that something is wrong. */
  readonly noticedMs: number
  /** From the notice to proof or expiry. */
  readonly decidedMs: number
  /** Until the number was won. */
  readonly claimedMs: number
  /** Until no lower term could be renewed any more. */
  readonly endedMs: number
  /** Until the wait was over that follows where nothing proves the old holder dead. */
  readonly settledMs: number
  /** Until the catalog is open, as is `totalMs`: the term goes on record then, and serves after one more renewal. */
  readonly openedMs: number
  /** All after the last seen heartbeat. */
  readonly totalMs: number
}

/** Which cluster a directory is: cluster.json. */
export interface ClusterFile {
  /** The version of the directory's format; 3 is this software's. */
  readonly format: number
  /** The same for ever: formatting keeps it. */
  readonly clusterId: string
  /** Counts how often the directory was formatted; from 1, which is also what a file of format 1 means. */
  readonly generation?: number
  /** The one that all masters must share. */
  readonly catalog: CatalogName
  /** When that was written down, in ISO 8601. */
  readonly createdAt: string
}

/** Which catalog a master is configured with, without user or password. The library only compares them. */
export interface CatalogName {
  /** What kind of catalog it is. */
  readonly class: string
  /** Where it is. */
  readonly uri: string
}

/** backup/….refused: a master that is configured with another catalog than its cluster. */
export interface Refusal {
  readonly address: string
  readonly hostname: string
  readonly at: string
  /** Its own. */
  readonly catalog: CatalogName
}

/** reserve/…/whole.json: all that it names is there. */
export interface ReserveFile {
  readonly address: string
  /** Of the master process that made or adopted it. */
  readonly nonce: string
  readonly names: readonly string[]
  readonly openingBytes: number
}

export const encode = (value: unknown): string => `${JSON.stringify(value)}\n`
