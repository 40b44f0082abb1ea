/**
 * What tests need from the system beyond Node and npm packages: which Debian packages bring it, and how a machine is
 * seen to have it. `install-parts.ts` installs what is missing; a test whose part is missing all the same is skipped by
 * name, except under CI=true, where a skip would hide a hole.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

export interface Part {
  /** What tests do with it, as a phrase. */
  readonly purpose: string
  readonly debianPackages: readonly string[]
  /** What is missing on this machine; null when the part is there. */
  missing(): string | null
}

/** Debian keeps PostgreSQL's programs out of PATH, by version; the newest first. */
const POSTGRES_ROOT = '/usr/lib/postgresql'
function postgresDirs(): string[] {
  try {
    const versions = readdirSync(POSTGRES_ROOT).sort((a, b) => Number(b) - Number(a))
    return versions.map((version) => join(POSTGRES_ROOT, version, 'bin'))
  } catch {
    return []
  }
}

const SYSTEM_DIRS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']

/** Full path of a program, or null. Daemons' folders are searched too: PATH seldom has them. */
export function findProgram(name: string): string | null {
  const path = (process.env.PATH ?? '').split(delimiter)
  const folders = [...path, ...SYSTEM_DIRS, ...postgresDirs()]
  for (const folder of folders) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {
      // Not in this folder; the next one may have it.
    }
  }
  return null
}

function programs(...names: string[]): string | null {
  const gone = names.filter((name) => findProgram(name) === null)
  return gone.length > 0 ? `no ${gone.join(', ')}` : null
}

const needsRoot = (): string | null =>
  process.getuid?.() === 0 ? null : 'only root may do that here'

function device(path: string): string | null {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return null
  } catch {
    return `no access to ${path}`
  }
}

function fuseHeaders(): string | null {
  try {
    execFileSync('pkg-config', ['--exists', 'fuse3'], { stdio: 'ignore' })
    return null
  } catch {
    return 'no headers of libfuse3'
  }
}

export const PARTS = {
  setpriv: {
    purpose: 'have processes end with the test that started them',
    debianPackages: ['util-linux'],
    missing: () => programs('setpriv'),
  },
  users: {
    purpose: 'run as another user of the system, and give files to him',
    debianPackages: ['util-linux'],
    missing: () => programs('setpriv') ?? needsRoot(),
  },
  shellcheck: {
    purpose: 'lint the shell scripts',
    debianPackages: ['shellcheck'],
    missing: () => programs('shellcheck'),
  },
  sshd: {
    purpose: 'run real SSH servers',
    debianPackages: ['openssh-server', 'openssh-client'],
    missing: () => programs('sshd', 'ssh', 'ssh-keygen'),
  },
  netns: {
    purpose: 'make hosts of network namespaces',
    debianPackages: ['iproute2', 'util-linux'],
    missing: () => programs('ip', 'unshare', 'nsenter', 'mount') ?? needsRoot(),
  },
  hangfs: {
    purpose: 'mount a file system that can hang',
    debianPackages: ['gcc', 'libc6-dev', 'pkg-config', 'libfuse3-dev', 'fuse3'],
    missing: () =>
      programs('gcc', 'pkg-config', 'fusermount3') ?? fuseHeaders() ?? device('/dev/fuse'),
  },
  rclone: {
    purpose: 'mount a file system that caches writes',
    debianPackages: ['rclone', 'fuse3'],
    missing: () => programs('rclone', 'fusermount3') ?? device('/dev/fuse'),
  },
  postgres: {
    purpose: 'run real PostgreSQL servers',
    debianPackages: ['postgresql', 'util-linux'],
    missing: () => programs('postgres', 'initdb', 'setpriv'),
  },
  mariadb: {
    purpose: 'run real MariaDB servers',
    debianPackages: ['mariadb-server', 'util-linux'],
    missing: () => programs('mariadbd', 'mariadb-install-db', 'setpriv'),
  },
  haproxy: {
    purpose: 'run a real HAProxy',
    debianPackages: ['haproxy'],
    missing: () => programs('haproxy'),
  },
  promtool: {
    purpose: "check Prometheus' rules",
    debianPackages: ['prometheus'],
    missing: () => programs('promtool'),
  },
  chromium: {
    purpose: 'open the web page in a real browser',
    debianPackages: ['chromium'],
    missing: () => programs('chromium'),
  },
} as const satisfies Record<string, Part>

export type PartName = keyof typeof PARTS

/** Why these parts can't be used, with what to install; null when all are there. */
export function whyNot(...names: PartName[]): string | null {
  for (const name of names) {
    const part: Part = PARTS[name]
    const missing = part.missing()
    if (missing !== null) {
      return `can't ${part.purpose}: ${missing} (Debian: apt-get install ${part.debianPackages.join(' ')})`
    }
  }
  return null
}

/**
 * First line of a test that needs parts: `if (!hasParts(t, 'sshd')) return`. Ends the test as skipped, or under CI=true
 * as failed, when one is missing.
 */
export function hasParts(t: Test, ...names: PartName[]): boolean {
  const reason = whyNot(...names)
  if (reason === null) return true
  if (process.env.CI === 'true') t.fail(reason)
  else t.pass(reason, { skip: reason })
  return false
}
