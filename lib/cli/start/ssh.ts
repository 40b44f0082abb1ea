/**
 * Runs a command on another host through the system's ssh client.
 *
 * Never asks anything (BatchMode), never waits for ever (ConnectTimeout, keep-alive questions, an overall deadline),
 * and passes no text through a shell here: arguments go to ssh as a list, and each word of the remote command is quoted.
 * TAJO_SSH_OPTS comes first, since ssh keeps the first value it is given for an option.
 */
import { spawn } from 'node:child_process'
import { waitingClock, within } from '../../base/time.ts'
import { isHostName } from '../address.ts'
import { quoteWord, splitShellWords } from '../env-file.ts'
import { EXIT, failure, usageError } from '../exit.ts'

const CONNECT_TIMEOUT_S = 5

/** ssh's own exit code for "I could not get there". */
const SSH_FAILED = 255

interface RemoteCommand {
  readonly host: string
  /** The value of TAJO_SSH_OPTS. */
  readonly sshOptions: string
  /** Variables for the remote command; PATH gets `pathDir` appended, so that `#!/usr/bin/env node` finds Node. */
  readonly env: Readonly<Record<string, string>>
  readonly pathDir: string
  readonly words: readonly string[]
}

/** Makes the arguments of ssh. A host name that ssh could take for something else is a usage error. */
export function sshArguments(command: RemoteCommand): string[] {
  if (!isHostName(command.host)) {
    throw usageError(`'${command.host}' is not a host name: can't run a command there`)
  }
  const variables = Object.entries(command.env).map(([name, value]) =>
    quoteWord(`${name}=${value}`),
  )
  return [
    ...splitShellWords(command.sshOptions, 'TAJO_SSH_OPTS'),
    '-o',
    'BatchMode=yes',
    '-o',
    `ConnectTimeout=${CONNECT_TIMEOUT_S}`,
    '-o',
    'ServerAliveInterval=5',
    '-o',
    'ServerAliveCountMax=3',
    '-T',
    '--',
    command.host,
    // `env` sets them in every login shell alike; "$PATH" is the one thing that the remote shell is to expand.
    [
      'env',
      `PATH="$PATH":${quoteWord(command.pathDir)}`,
      ...variables,
      ...command.words.map(quoteWord),
    ].join(' '),
  ]
}

/** Runs it with this process's stdout and stderr and resolves to its exit code; rejects when the host isn't reached. */
export async function runOverSsh(command: RemoteCommand, deadlineMs: number): Promise<number> {
  const child = spawn('ssh', sshArguments(command), { stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await exitOf(child, command.host, deadlineMs)
  if (code === SSH_FAILED) {
    throw failure(
      `ssh to ${command.host} failed: this command changes a master, which is done on its own host only; ` +
        `check 'ssh ${command.host}' without a password, or run it there`,
    )
  }
  return code
}

function exitOf(
  child: ReturnType<typeof spawn>,
  host: string,
  deadlineMs: number,
): Promise<number> {
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(failure(`can't start the ssh client: ${error.message}`, error)),
    )
    child.once('close', (code) => resolve(code ?? EXIT.failed))
  })
  return within(waitingClock, deadlineMs, exit, () => {
    child.kill('SIGKILL')
    throw failure(`${host} has not finished the command within ${deadlineMs} ms: gave up`)
  })
}
