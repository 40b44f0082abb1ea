/**
 * Who may serve on which mount. For masters of one host every file system with exclusive creates will do. For masters of
 * several it must be one that was tried (`shared`), or one whose mark says that this host's check with another has passed;
 * everything else is refused, since nothing but a check can tell a shared directory from a cached or a local one.
 *
 * `warn` lets go on what is only unproven, or known to cache, with an alert; never a file system of one host, which is
 * what a host shows that was booted without its mount.
 *
 * While a master runs, what is to be told of its directory's mount is judged anew once in a monitor interval. A check that has passed meanwhile ends the alert of a mount that nobody had proven, one that saw it fail
 * begins it, and a mount may have come back with other options than it went with. Nobody is stopped by it.
 */
import { numberIn, recordOf } from '../directory/past.ts'
import { messageOf } from '../words/errors.ts'
import { HISTORY_DIR } from '../words/layout.ts'
import { mountWarnings, refusedBecause } from '../world/mount-kinds.ts'
import type { Clock, Disk, Log, Purpose } from '../world/ports.ts'
import { type MountFacts, mountFacts } from './mount-facts.ts'
import { type MountMark, readMarks, standingOf } from './mount-mark.ts'

interface MountStandingOptions {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly periodMs: number
  /** Rejects where nobody can tell now. Null: the mount never changes. */
  readonly judge: (() => Promise<MountAlerts>) | null
}

export class MountStanding {
  readonly #o: MountStandingOptions
  #told: MountAlerts
  #judging = false
  #judgedMs = Number.NEGATIVE_INFINITY

  constructor(options: MountStandingOptions, atStart: MountAlerts) {
    this.#o = options
    this.#told = atStart
  }

  get told(): MountAlerts {
    return this.#told
  }

  /** To be called when the directory has just answered from the mount that was joined. Never rejects. */
  async consider(): Promise<void> {
    const { clock, log, periodMs, judge } = this.#o
    if (judge === null || this.#judging || clock.nowMs() - this.#judgedMs < periodMs) return
    this.#judging = true
    this.#judgedMs = clock.nowMs()
    try {
      this.#tell(await judge())
    } catch (error) {
      log('debug', `the mount can't be judged now: ${messageOf(error)}`, {
        event: 'mount-unjudged',
      })
    } finally {
      this.#judging = false
    }
  }

  #tell(now: MountAlerts): void {
    const [before, after] = [textsOf(this.#told), textsOf(now)]
    this.#told = now
    for (const text of after)
      if (!before.includes(text)) this.#o.log('warn', text, { event: 'storage-alert-raised' })
    for (const text of before)
      if (!after.includes(text))
        this.#o.log('info', `over: ${text}`, { event: 'storage-alert-over' })
  }
}

const textsOf = ({ critical, warnings }: MountAlerts): string[] => [...critical, ...warnings]

/** `tajo.master.ha.unproven-mount`: whether a mount that nobody has proven is refused, or used with an alert. */
export type UnprovenMount = 'refuse' | 'warn'

export interface Admission {
  /** Why no master may start on it, with the way out; null where one may. */
  readonly refusal: string | null
  /** What is to be told while a master runs on it, a sentence each. */
  readonly critical: readonly string[]
  readonly warnings: readonly string[]
}

export interface AdmissionFacts {
  readonly mount: MountFacts
  /** Masters of other hosts are to use it. */
  readonly severalHosts: boolean
  readonly unproven: UnprovenMount
  readonly marks: readonly MountMark[]
  /** The cluster has served on this kind of mount before anybody could leave a mark. */
  readonly ranBefore: boolean
}

const CHECK = "'tajo haadmin -checkSharedDir --peer HOST'"
const SWITCH = 'tajo.master.ha.unproven-mount'
const fine: Admission = { refusal: null, critical: [], warnings: [] }
const refused = (refusal: string): Admission => ({ ...fine, refusal })

export function admissionOf(facts: AdmissionFacts): Admission {
  const { mount, severalHosts, unproven, marks, ranBefore } = facts
  const { type, mountPoint, sharing } = mount.fileSystem
  const standing = standingOf(marks, mount)
  switch (sharing) {
    case 'shared':
      return fine
    case 'refused': {
      const why = `${mountPoint} is ${refusedBecause(mount.fileSystem)}`
      if (!severalHosts && !noExclusiveCreate(type, mount.fileSystem.source)) {
        return { ...fine, warnings: [`${why}. It carries masters of this host alone`] }
      }
      const instead = 'use a directory on NFS'
      if (unproven === 'refuse') return refused(`${why}; ${instead}`)
      return { ...fine, critical: [`${why}; it is used since ${SWITCH} is warn: ${instead}`] }
    }
    case 'local': {
      if (!severalHosts || standing.is === 'holds' || standing.is === 'other-version') return fine
      return refused(
        `${mountPoint} is a local file system (${type}), which the masters on other hosts can't see: mount the shared directory, or put it on one that all hosts mount (NFS)${one(standing)}`,
      )
    }
    case 'unknown': {
      if (!severalHosts || standing.is === 'holds') return fine
      if (standing.is === 'other-version') {
        const { mark } = standing
        const text = `${mountPoint} is ${type} in another version (${mount.version}) than ${CHECK} has proven with ${mark.peer.hostname} (${mark.version}): run it again on this host`
        return { ...fine, warnings: [text] }
      }
      const why = `${mountPoint} is ${type}, a kind of mount that nobody has proven for masters on several hosts${one(standing)}`
      const todo = `run ${CHECK} on this host, with another host of conf/masters`
      if (unproven === 'warn') {
        return { ...fine, critical: [`${why}; it is used since ${SWITCH} is warn: ${todo}`] }
      }
      if (ranBefore) {
        return { ...fine, critical: [`${why}; this cluster ran on it before and goes on: ${todo}`] }
      }
      return refused(`${why}: ${todo}; or set ${SWITCH} to warn, at your own risk`)
    }
  }
}

const one = (standing: ReturnType<typeof standingOf>): string =>
  standing.is === 'void' ? ` (${standing.why})` : ''

/** Not even two masters of one host are told apart there. */
const noExclusiveCreate = (type: string, source: string): boolean =>
  /fuse[_-]dfs/.test(`${type} ${source}`)

/** Reads marks and history; `mount` is of `disk`'s directory, or of what exists above it. Rejects with DiskError. */
export async function admit(
  disk: Disk,
  purpose: Purpose,
  facts: Pick<AdmissionFacts, 'mount' | 'severalHosts' | 'unproven'>,
): Promise<Admission> {
  const { sharing, type } = facts.mount.fileSystem
  const needsMark = facts.severalHosts && (sharing === 'local' || sharing === 'unknown')
  const found = needsMark ? await readMarks(disk, purpose) : []
  const marks = found.map(({ mark }) => mark)
  const mayHaveRun = needsMark && sharing === 'unknown' && marks.length === 0
  const ranBefore = mayHaveRun && (await hasRunOn(disk, purpose, type))
  return admissionOf({ ...facts, marks, ranBefore })
}

/** What is to be told of a mount while a master runs on it, a sentence each. */
export type MountAlerts = Pick<Admission, 'critical' | 'warnings'>

/** Of a directory's mount as it is now. Rejects with the system's error. */
export async function mountAlerts(
  disk: Disk,
  directory: string,
  facts: Pick<AdmissionFacts, 'severalHosts' | 'unproven'>,
): Promise<MountAlerts> {
  const mount = await mountFacts(directory)
  return alertsOf(await admit(disk, 'check', { ...facts, mount }), mount)
}

export const alertsOf = (
  { refusal, critical, warnings }: Admission,
  { fileSystem }: MountFacts,
): MountAlerts => ({
  critical: [
    ...(refusal === null ? [] : [`no master would be started here now: ${refusal}`]),
    ...critical,
    ...mountWarnings(fileSystem),
  ],
  warnings,
})

/** So many records of terms are asked for their mount; those of commands don't tell one. */
const LATEST = 20

/**
 * Whether the newest term that tells its mount was held on that kind. Where none tells, they are of a version that let
 * masters run on any.
 */
async function hasRunOn(disk: Disk, purpose: Purpose, kind: string): Promise<boolean> {
  const listed = await disk.list(purpose, HISTORY_DIR)
  const names = listed === 'missing' ? [] : listed
  const terms = [...new Set(names.map(numberIn))].filter((term) => term > 0).sort((a, b) => b - a)
  for (const term of terms.slice(0, LATEST)) {
    const record = await recordOf(disk, purpose, { names, term })
    if (record?.mount !== undefined) return record.mount === kind
  }
  return terms.length > 0
}
