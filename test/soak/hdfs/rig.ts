/**
 * The hosts and the HDFS below them, which belong to whoever runs the soak: a program of theirs (`--rig PROGRAM`), called
 * with these words. It returns when what was asked is so, and exits with another code than 0 when it can't be.
 *
 *     hosts                                        prints the address of each host that gets a master, one a line
 *     run HOST COMMAND                             runs COMMAND in the host's shell as root, as ssh does, stdin too
 *     power-off HOST                               pulls the plug of the host and of the gateway on it
 *     boot HOST                                    switches both on again; returns when HDFS is mounted there
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

  async hosts(): Promise<string[]> {
    const hosts = (await this.#do('hosts')).split('\n').filter((line) => line !== '')
    if (hosts.length < 3) throw new Error(`'${this.#program} hosts' printed ${hosts.length} hosts`)
    return hosts
  }

  run(host: string, command: string, options: RunOptions = {}): Promise<Ran> {
    return run([this.#program, 'run', host, command], { patience: PATIENCE, ...options })
  }

  mustRun(host: string, command: string, options: RunOptions = {}): Promise<string> {
    return mustRun([this.#program, 'run', host, command], { patience: PATIENCE, ...options })
  }

  powerOff = (host: string): Promise<unknown> => this.#do('power-off', host)
  boot = (host: string): Promise<unknown> => this.#do('boot', host)
  gateway = (host: string, action: Action): Promise<unknown> => this.#do('gateway', host, action)
  nameNode = (action: Action): Promise<unknown> => this.#do('namenode', action)

  #do(...words: string[]): Promise<string> {
    return mustRun([this.#program, ...words], { patience: PATIENCE })
  }
}
