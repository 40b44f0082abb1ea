/**
 * The hosts below a soak and the storage that they share, which belong to whoever runs it: a program of theirs
 * (`--rig PROGRAM`), called with these words. It returns when what was asked is so, and exits with another code than 0 when
 * it can't be.
 *
 *     hosts                                        prints the address of each host that gets a master, one a line
 *     run HOST COMMAND                             runs COMMAND in the host's shell as root, as ssh does, stdin too
 *     power-off HOST                               pulls the plug of the host and of what it mounts the storage by
 *     boot HOST                                    switches both on again; returns when the storage is mounted there
 *
 * For `--faults hosts`. The first may print the moment at which it struck, in seconds of this machine's wall clock:
 *
 *     freeze HOST, thaw HOST                       stops everything on the host, and lets it go on
 *     starved HOST                                 prints for how long, since any moment that stays the same, the host and its
 *                                                  storage were kept waiting for a processor by what they run on, ms; 0 where
 *                                                  they have processors of their own
 *
 * For `--faults hdfs`:
 *
 *     gateway HOST kill|start|freeze|thaw          SIGKILL, start, SIGSTOP, SIGCONT of the host's gateway
 *     namenode kill|start|freeze|thaw              the same of the NameNode; `start` returns when it has left safe mode
 *
 * The hosts are reached from here at these addresses and from each other, by ssh too, their clocks are this machine's to
 * 0.1 s, and the install lies on each at the path that `--home` tells.
 */
import { mustRun, type Ran, type RunOptions, run } from '../../support/run.ts'

/** A host may boot, a NameNode leave its safe mode: times the usual patience. */
const PATIENCE = 20

export type Action = 'kill' | 'start' | 'freeze' | 'thaw'

export class Rig {
  readonly #program: string

  constructor(program: string) {
    this.#program = program
  }

  async hosts(atLeast: number): Promise<string[]> {
    const hosts = (await this.#do('hosts')).split('\n').filter((line) => line !== '')
    if (hosts.length < atLeast)
      throw new Error(`'${this.#program} hosts' printed ${hosts.length} hosts`)
    return hosts
  }

  run(host: string, command: string, options: RunOptions = {}): Promise<Ran> {
    return run([this.#program, 'run', host, command], { patience: PATIENCE, ...options })
  }

  mustRun(host: string, command: string, options: RunOptions = {}): Promise<string> {
    return mustRun([this.#program, 'run', host, command], { patience: PATIENCE, ...options })
  }

  powerOff = (host: string): Promise<number> => this.#strike('power-off', host)
  freeze = (host: string): Promise<number> => this.#strike('freeze', host)
  thaw = (host: string): Promise<unknown> => this.#do('thaw', host)
  boot = (host: string): Promise<unknown> => this.#do('boot', host)
  gateway = (host: string, action: Action): Promise<unknown> => this.#do('gateway', host, action)
  nameNode = (action: Action): Promise<unknown> => this.#do('namenode', action)

  async starvedMs(host: string): Promise<number> {
    const said = await this.#do('starved', host)
    const ms = Number(said)
    if (said.trim() === '' || !Number.isFinite(ms))
      throw new Error(`'starved ${host}' printed '${said}'`)
    return ms
  }

  /** Resolves to when it struck, ms of the wall clock: what the rig says, or the moment at which it was asked. */
  async #strike(...words: string[]): Promise<number> {
    const askedMs = Date.now()
    const said = (await this.#do(...words)).trim()
    return said === '' ? askedMs : 1000 * Number(said)
  }

  #do(...words: string[]): Promise<string> {
    return mustRun([this.#program, ...words], { patience: PATIENCE })
  }
}
