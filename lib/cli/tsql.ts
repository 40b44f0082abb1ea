/**
 * The command `tsql` is the SQL shell. Reads the command line, finds the masters, and runs statements from `-c`, `-f`, a
 * pipe or the keyboard.
 *
 * Most calls are one short statement in somebody's script, so everything that isn't needed for that is loaded later:
 * the argument parser, the meta commands, the line editor.
 */
import { join, resolve } from 'node:path'
import { INSTALL } from '../base/install.ts'
import type { CommandContext } from './arguments.ts'
import { EXIT, failure } from './exit.ts'
import { standardOutput } from './print.ts'
import { runProgram } from './program.ts'
import { fillIn, NO_OPTIONS, plainOptions, type TsqlOptions, valuesJoined } from './tsql/options.ts'
import type { Outcome, ShellOptions } from './tsql/shell.ts'

const HELP = new Set(['-help', '--help', '-?'])
const VERSION = new Set(['-version', '--version'])
const INTERRUPTED = 130

const CODES: Readonly<Record<Outcome, number>> = {
  done: EXIT.done,
  quit: EXIT.done,
  failed: EXIT.failed,
  'no-master': EXIT.unknownMaster,
  cancelled: INTERRUPTED,
}

async function main(argv: readonly string[]): Promise<number> {
  const words = valuesJoined(argv)
  if (words.some((word) => HELP.has(word))) {
    standardOutput.out((await import('./tsql/help.ts')).USAGE)
    return EXIT.done
  }
  const onlyVersion = words.some((word) => VERSION.has(word))
  const options = onlyVersion
    ? NO_OPTIONS
    : (plainOptions(argv) ?? (await import('./tsql/option-parser.ts')).parseOptions(argv))
  const context = await contextOf(options)
  if (onlyVersion) {
    standardOutput.out(await versionText(context))
    return EXIT.done
  }
  return run(context, options)
}

async function contextOf(options: TsqlOptions): Promise<CommandContext> {
  const home = resolve(process.env.TAJO_HOME || INSTALL)
  const confDir = resolve(options.config ?? (process.env.TAJO_CONF_DIR || join(home, 'conf')))
  const plainEnv = { ...process.env, TAJO_HOME: home, TAJO_CONF_DIR: confDir }
  const env = (await import('./env-file.ts')).withEnvFile(confDir, plainEnv, false)
  const output = standardOutput
  return { args: [], options: {}, json: false, confDir, home, env, output }
}

async function run(context: CommandContext, options: TsqlOptions): Promise<number> {
  const [
    { connect },
    { Shell },
    { Settings },
    { split, onlyStatement },
    { systemClock },
    { terminalOn },
  ] = await Promise.all([
    import('./tsql/connect.ts'),
    import('./tsql/shell.ts'),
    import('./tsql/settings.ts'),
    import('./tsql/statement-reader.ts'),
    import('../base/time.ts'),
    import('./tsql/terminal.ts'),
  ])
  const { client, conf, warnings } = await connect(context, options)
  const atKeyboard =
    options.command === null &&
    options.file === null &&
    !options.background &&
    process.stdin.isTTY === true &&
    process.stdout.isTTY === true
  if (atKeyboard) for (const warning of warnings) context.output.err(`tsql: warning: ${warning}`)
  const meta: ShellOptions['meta'] = async (text, shell) => {
    const { runMeta } = await import('./tsql/meta.ts')
    const { home, confDir, env } = context
    const warehouse = conf.get('tajo.warehouse.directory')
    return runMeta(text, shell, {
      home,
      confDir,
      env,
      version: await versionText(context),
      warehouse,
    })
  }
  const shell = new Shell({
    client,
    settings: new Settings(options.format),
    terminal: terminalOn(process, !options.background),
    clock: systemClock,
    meta,
  })
  try {
    const entered = options.database === null ? 'done' : await shell.enter(options.database)
    if (entered !== 'done') return CODES[entered]
    if (atKeyboard) {
      await interactive(shell, split, context)
      return EXIT.done
    }
    process.on('SIGINT', () => {
      if (!shell.cancel()) process.exit(INTERRUPTED)
      process.once('SIGINT', () => process.exit(INTERRUPTED))
    })
    const { params, command } = options
    const only = command === null ? null : onlyStatement(fillIn(command, params))
    if (only !== null) return CODES[await shell.run({ is: 'statement', text: only, line: 1 })]
    const { runScript } = await import('./tsql/interactive.ts')
    return CODES[await runScript(await linesOf(options), { shell, split, params })]
  } finally {
    await client.close()
  }
}

async function interactive(
  shell: import('./tsql/shell.ts').Shell,
  split: import('./tsql/statement-reader.ts').Split,
  { env }: CommandContext,
): Promise<void> {
  const [{ interact }, { HistoryFile }, { Completion }, { systemClock }, { homedir }] =
    await Promise.all([
      import('./tsql/interactive.ts'),
      import('./tsql/terminal.ts'),
      import('./tsql/completion.ts'),
      import('../base/time.ts'),
      import('node:os'),
    ])
  await interact({
    shell,
    split,
    history: new HistoryFile(join(env.HOME || homedir(), '.tsql_history')),
    completion: new Completion(shell.client, systemClock),
    input: process.stdin,
    output: process.stdout,
  })
}

/** Line by line, so that a script of any length is no more than its longest statement in memory. */
async function linesOf({ command, file }: TsqlOptions): Promise<AsyncIterable<string> | string[]> {
  if (command !== null) return command.split(/\r?\n/)
  const { createInterface } = await import('node:readline')
  if (file === null || file === '-') {
    return createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  }
  const { open } = await import('node:fs/promises')
  try {
    const script = await open(file)
    if ((await script.stat()).isDirectory()) throw new Error('it is a directory')
    return script.readLines()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : message
    throw failure(`-f: can't read ${file}: ${why}`, error)
  }
}

async function versionText({ home }: CommandContext): Promise<string> {
  const { installedVersion } = await import('./program.ts')
  return `Tajo HA ${installedVersion(home)} (Node ${process.versions.node})`
}

await runProgram({
  name: 'tsql',
  main,
  codeOf: (code) => (code === EXIT.unsafe ? EXIT.failed : code),
})
