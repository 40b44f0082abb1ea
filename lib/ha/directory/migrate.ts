/**
 * A directory of an older format becomes one of this version: by the first master that starts when no other lives. All
 * terms and the history stay as they are; cluster.json says the new format, which older masters refuse, at their start and
 * before each claim.
 *
 * The secret is made anew, for older versions sent it over the network, where anybody may have heard it. Of several
 * masters that migrate at once the first decides it: secret.next is made once, and goes when cluster.json has the new
 * format. Until then whoever comes puts what it says in the place of the secret.
 *
 * cluster.json is never absent meanwhile, for the first versions make a new cluster where there is none: its new text is
 * written aside and renamed over it. Where the storage renames over no file (HDFS's gateway, where those versions could not
 * be started) it is unlinked and made anew, and its text stands in cluster.next.json first: whoever is interrupted leaves
 * that one, and every master that starts, of format 2 as well, goes on from it. One of an older version that has made the
 * file in between has its text replaced like the one before.
 *
 * An older master that was started in the middle is found by a second look; it can't become active any more.
 */
import type { Timing } from '../rules/timing.ts'
import { HaError } from '../words/errors.ts'
import {
  ASIDE,
  BACKUP_DIR,
  CLUSTER_FILE,
  type ClusterFile,
  encode,
  FORMAT_VERSION,
  type Holder,
  isSecret,
  NEXT_CLUSTER_FILE,
  NEXT_SECRET_FILE,
  SECRET_FILE,
} from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import type { Clock, Disk, Processes } from '../world/ports.ts'
import { decodeClusterLoosely, generationOf } from './decode.ts'
import { judgeMembers } from './live-members.ts'
import { readPast } from './past.ts'
import { readWhole } from './whole.ts'

interface Migration {
  readonly directory: string
  /** As it was read. */
  readonly file: ClusterFile
  /** Of this start. */
  readonly nonce: string
  /** The cluster's from now on, if no other master has been quicker. */
  readonly secret: string
  readonly timing: Timing
}

interface Ports {
  readonly disk: Disk
  readonly clock: Clock
  readonly processes: Processes
}

interface Raised {
  readonly to: ClusterFile
  /** A name of this attempt alone: nobody else puts another's text in the file's place. */
  readonly aside: string
}

/** So long another master that migrates at the same moment may take. */
const OTHERS_MS = 5000
/** An older master makes cluster.json at its start, where it misses it, and not again. */
const TRIES = 5

/** Rejects BAD_DIRECTORY naming the masters of the older version that live. */
export async function migrate(ports: Ports, migration: Migration): Promise<ClusterFile> {
  const { disk } = ports
  const { directory, file, nonce } = migration
  await refuseOlder(ports, migration)
  const before = await traces(disk)
  const to: ClusterFile = { ...file, format: FORMAT_VERSION, generation: generationOf(file) }
  let written = await fileNow(disk)
  if (isNew(written)) return written
  await renewSecret(ports, migration)
  for (let tries = 0; tries < TRIES && !isNew(written); tries += 1) {
    await raise(ports, { to, aside: `${ASIDE}${nonce}-${tries}.json` })
    written = await fileNow(disk)
  }
  if (isNew(written)) await sweepLeftovers(disk)
  if (!isNew(written) || (await traces(disk)) !== before) await refuseOlder(ports, migration)
  if (isNew(written)) return written
  throw new HaError(
    'BAD_DIRECTORY',
    `${directory}/${CLUSTER_FILE} can't be raised to format ${FORMAT_VERSION}: something puts back what was there. Stop whatever else uses this directory, and start again`,
  )
}

const isNew = (file: ClusterFile | null): file is ClusterFile =>
  file !== null && file.format >= FORMAT_VERSION

async function renewSecret(ports: Ports, { directory, nonce, secret }: Migration): Promise<void> {
  const { disk } = ports
  await disk.create('setup', NEXT_SECRET_FILE, `${secret}\n`)
  // Another one has come to its end and swept its file: this one is swept as well.
  if (isNew(await fileNow(disk))) return
  const text = await readWhole(disk, ports.clock, NEXT_SECRET_FILE)
  if (!isSecret(text.trim())) {
    if (isNew(await fileNow(disk))) return
    throw new HaError(
      'BAD_DIRECTORY',
      `${directory}/${NEXT_SECRET_FILE} is torn: a start was interrupted. Stop all masters, remove it and start again`,
    )
  }
  for (let tries = 0; tries <= TRIES; tries += 1) {
    if ((await disk.read('setup', SECRET_FILE)) === text) return
    await putSecret(disk, text, `${ASIDE}${nonce}-secret-${tries}`)
  }
  throw new HaError(
    'BAD_DIRECTORY',
    `${directory}/${SECRET_FILE} can't be made anew: something puts back what was there. Stop whatever else uses this directory, and start again`,
  )
}

async function putSecret(disk: Disk, text: string, aside: string): Promise<void> {
  if ((await disk.create('setup', aside, text)) !== 'created') return
  if ((await disk.replace('setup', SECRET_FILE, aside)) === 'replaced') return
  await disk.unlink('setup', SECRET_FILE)
  await disk.create('setup', SECRET_FILE, text)
}

/** An answer that was lost tells nothing: whoever asked looks at the file. */
async function raise(ports: Ports, { to, aside }: Raised): Promise<void> {
  const { disk } = ports
  // A name that is there may be ours, after an answer that was lost, and empty.
  if ((await disk.create('setup', aside, encode(to))) !== 'created') return
  if ((await disk.replace('setup', CLUSTER_FILE, aside)) === 'refused') await remake(ports, to)
}

/** It does without a rename. */
async function remake(ports: Ports, to: ClusterFile): Promise<void> {
  const { disk } = ports
  if ((await disk.create('setup', NEXT_CLUSTER_FILE, encode(to))) === 'exists') {
    if (await byAnother(ports)) return
    const left = await disk.read('setup', NEXT_CLUSTER_FILE)
    if (left !== encode(to)) {
      // Of a migration to a format before this one, or torn.
      await disk.unlink('setup', NEXT_CLUSTER_FILE)
      await disk.create('setup', NEXT_CLUSTER_FILE, encode(to))
    }
  }
  if (!isNew(await fileNow(disk))) await disk.unlink('setup', CLUSTER_FILE)
  await disk.create('setup', CLUSTER_FILE, encode(to))
}

const LEFT: readonly string[] = [NEXT_CLUSTER_FILE, NEXT_SECRET_FILE]

/** Once cluster.json has this format: what attempts have left that came to their end, and that were interrupted. */
export async function sweepLeftovers(disk: Disk): Promise<void> {
  const names = await disk.list('setup', '.')
  for (const name of names === 'missing' ? [] : names) {
    const isLeft = LEFT.includes(name) || name.startsWith(ASIDE)
    if (isLeft) await disk.unlink('setup', name)
  }
}

/** One of this version that was quicker has migrated, or has seen that it was done. */
async function refuseOlder(ports: Ports, { directory, file, timing }: Migration): Promise<void> {
  const counts = ({ format = 0 }: Holder): boolean => format < FORMAT_VERSION
  const { live } = await judgeMembers(ports.disk, timing, { ...ports, counts })
  if (live.length === 0) return
  throw new HaError(
    'BAD_DIRECTORY',
    `masters of an older version live in ${directory} (format ${file.format}, this version writes ${FORMAT_VERSION}): ${live.join(', ')}. Stop the whole cluster with that version first, then start it with this one: the directory is migrated then and keeps all its data`,
  )
}

async function byAnother({ disk, clock }: Ports): Promise<boolean> {
  const untilMs = clock.nowMs() + OTHERS_MS
  while (clock.nowMs() < untilMs) {
    if (isNew(await fileNow(disk))) return true
    await pause(clock, 100)
  }
  return false
}

async function fileNow(disk: Disk): Promise<ClusterFile | null> {
  const text = await disk.read('setup', CLUSTER_FILE)
  return text === 'missing' ? null : decodeClusterLoosely(text)
}

/** Changes when a master joins or claims. */
async function traces(disk: Disk): Promise<string> {
  const names = await disk.list('setup', BACKUP_DIR)
  const { newest } = await readPast(disk, 'setup')
  return `${newest} ${names === 'missing' ? '' : [...names].sort().join(' ')}`
}
