/**
 * A directory of an older format becomes one of this version: by the first master that starts when no other lives. All
 * terms, the history and the secret stay as they are; cluster.json says the new format, which older masters refuse, at
 * their start and before each claim.
 *
 * cluster.json can't be replaced in one step (no rename over a file), so its new text stands in cluster.next.json first:
 * whoever is interrupted leaves that one, and the next start goes on from it. An older master that was started in the
 * middle is found by a second look; it can't become active any more.
 */
import { decodeClusterLoosely, generationOf } from './decode.ts'
import { HaError } from './errors.ts'
import {
  BACKUP_DIR,
  CLUSTER_FILE,
  type ClusterFile,
  encode,
  FORMAT_VERSION,
  NEXT_CLUSTER_FILE,
} from './layout.ts'
import { judgeMembers } from './live-members.ts'
import { readPast } from './past.ts'
import type { Clock, Disk, Processes } from './ports.ts'
import type { Timing } from './timing.ts'

export interface Migration {
  readonly directory: string
  /** As it was read. */
  readonly file: ClusterFile
  readonly timing: Timing
}

interface Ports {
  readonly disk: Disk
  readonly clock: Clock
  readonly processes: Processes
}

/** So long another master that migrates at the same moment may take. */
const OTHERS_MS = 5000

/** Rejects BAD_DIRECTORY naming the masters of the older version that live. */
export async function migrate(ports: Ports, migration: Migration): Promise<ClusterFile> {
  const { disk } = ports
  await refuseOlder(ports, migration)
  const before = await traces(disk)
  const generation = generationOf(migration.file)
  const next: ClusterFile = { ...migration.file, format: FORMAT_VERSION, generation }
  if ((await disk.create('setup', NEXT_CLUSTER_FILE, encode(next))) === 'exists') {
    const done = await byAnother(ports)
    if (done !== null) return done
  }
  const now = await fileNow(disk)
  if (now !== null && now.format < FORMAT_VERSION) await disk.unlink('setup', CLUSTER_FILE)
  await disk.create('setup', CLUSTER_FILE, encode(next))
  const written = await fileNow(disk)
  await disk.unlink('setup', NEXT_CLUSTER_FILE)
  if (written === null || written.format < FORMAT_VERSION || (await traces(disk)) !== before) {
    await refuseOlder(ports, migration)
  }
  return written ?? next
}

async function refuseOlder(ports: Ports, { directory, file, timing }: Migration): Promise<void> {
  const { live } = await judgeMembers(ports.disk, timing, ports)
  if (live.length === 0) return
  throw new HaError(
    'BAD_DIRECTORY',
    `masters of an older version live in ${directory} (format ${file.format}, this version writes ${FORMAT_VERSION}): ${live.join(', ')}. Stop the whole cluster with that version first, then start it with this one: the directory is migrated then and keeps all its data`,
  )
}

async function byAnother({ disk, clock }: Ports): Promise<ClusterFile | null> {
  const untilMs = clock.nowMs() + OTHERS_MS
  while (clock.nowMs() < untilMs) {
    const file = await fileNow(disk)
    if (file !== null && file.format >= FORMAT_VERSION) return file
    await new Promise<void>((done) => clock.after(100, done))
  }
  return null
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
