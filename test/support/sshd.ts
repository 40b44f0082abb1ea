/**
 * A real SSH server of a test, with a host key of its own, that lets in one client key and nobody else.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { TestHost } from './netns.ts'
import { pacedS } from './pace.ts'
import { findProgram } from './parts.ts'
import { start } from './processes.ts'
import { mustRun } from './run.ts'
import { until } from './until.ts'

export interface SshKeys {
  /** Folder with `client`, `client.pub` and a `known_hosts` that the servers write themselves into. */
  readonly dir: string
  /** What TAJO_SSH_OPTS must hold to get in: port, key, known hosts, no configuration of the user's own. */
  readonly options: string
}

export interface SshServerOptions {
  readonly keys: SshKeys
  /** Runs inside this host, on its own address; else on loopback. */
  readonly host?: TestHost
  /** Tells clients another key than the server has, as after an attack or a reinstalled host. */
  readonly wrongHostKey?: boolean
}

/** Of hosts of their own, which have all their ports. */
export const SSH_PORT = 9022

/** Makes the client's key. Needs the part `sshd`. */
export async function makeSshKeys(dir: string, port = SSH_PORT): Promise<SshKeys> {
  mkdirSync(dir, { recursive: true })
  await makeKey(join(dir, 'client'))
  writeFileSync(join(dir, 'known_hosts'), '')
  const options = [
    '-F none',
    `-p ${port}`,
    `-i '${join(dir, 'client')}'`,
    '-o IdentitiesOnly=yes',
    '-o StrictHostKeyChecking=yes',
    `-o 'UserKnownHostsFile=${join(dir, 'known_hosts')}'`,
    '-o GlobalKnownHostsFile=/dev/null',
    // A server's first words are part of it.
    `-o ConnectTimeout=${pacedS(3)}`,
  ]
  return { dir, options: options.join(' ') }
}

const makeKey = (path: string): Promise<string> =>
  mustRun(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path])

/** Starts a server that ends with the test; resolves once it accepts connections. */
export async function startSshServer(
  t: Pick<Test, 'teardown'>,
  options: SshServerOptions,
  port = SSH_PORT,
): Promise<void> {
  const name = options.host?.name ?? 'localhost'
  const dir = join(options.keys.dir, `server-${name}`)
  mkdirSync(dir, { recursive: true })
  await makeKey(join(dir, 'host_key'))
  if (options.wrongHostKey) await makeKey(join(dir, 'other_key'))
  const told = readFileSync(
    join(dir, options.wrongHostKey ? 'other_key.pub' : 'host_key.pub'),
    'utf8',
  )
  for (const known of new Set([name, options.host?.address ?? '127.0.0.1'])) {
    const line = `[${known}]:${port} ${told}`
    writeFileSync(join(options.keys.dir, 'known_hosts'), line, { flag: 'a' })
  }
  const authorized = join(dir, 'authorized_keys')
  writeFileSync(authorized, readFileSync(join(options.keys.dir, 'client.pub')))
  chmodSync(authorized, 0o600)
  writeFileSync(join(dir, 'config'), configuration(dir, port, options.host?.address ?? '127.0.0.1'))
  const words = [findProgram('sshd') ?? 'sshd', '-D', '-e', '-f', join(dir, 'config')]
  const child = start(options.host?.command(words) ?? words)
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  t.teardown(() => void child.kill())
  const listens = (): boolean => said.includes('Server listening on')
  await until(`sshd on ${name} accepts connections`, listens, { needs: [child] })
}

const configuration = (dir: string, port: number, address: string): string => `
Port ${port}
ListenAddress ${address}
HostKey ${join(dir, 'host_key')}
AuthorizedKeysFile ${join(dir, 'authorized_keys')}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers ${userInfo().username}
# What the user's ~/.bashrc does in a shell over SSH is nobody's business here: bash leaves it to the outermost one.
SetEnv SHLVL=1
`
