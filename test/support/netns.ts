/**
 * Hosts made of namespaces: each has its own network card and address on one switch, its own host name, mounts, process
 * ids and `/etc/hosts`, and shares files and kernel with the others. Processes of one can't be seen from another, so
 * masters on two of them judge each other as on two machines.
 *
 * Nothing of this touches the machine's own network. A host's first process reads a pipe from the test: when the test
 * ends, however it ends, the pipe closes, that process ends, and the kernel kills all others of that host.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ended, start } from './processes.ts'
import { mustRun, type Ran, type RunOptions, run } from './run.ts'
import { until } from './until.ts'

export interface TestHost {
  readonly name: string
  /** IPv4 address. */
  readonly address: string
  /** The words that run a program on this host. */
  command(words: readonly string[]): string[]
  /** Runs a program there; as `run` does. */
  run(words: readonly string[], options?: RunOptions): Promise<Ran>
  /** Runs a program there that must succeed; answers its stdout. */
  mustRun(words: readonly string[], options?: RunOptions): Promise<string>
  /** Pulls the network cable, or plugs it in again. Resolves to when that was done, ms of the wall clock. */
  setLink(state: 'up' | 'down'): Promise<number>
  /** Every process of the host is gone at once. It can't be switched on again. */
  powerOff(): Promise<void>
}

export interface NetworkOptions {
  /** More lines for every host's /etc/hosts, such as names of hosts that are not there. */
  readonly hostsLines?: readonly string[]
}

/** Bash as a namespace's first process: while it waits it reaps orphans; it ends with the pipe from the test. */
const INIT = 'exec 3<&0; cat <&3 >/dev/null & echo started; wait'
/** The time is the shell's own, so that no start of a process lies between. */
const SET_LINK = 'ip link set "$1" "$2" && echo "$EPOCHREALTIME"'
const ALL = ['--net', '--uts', '--mount', '--pid']

/** The address of the n-th host, counted from 1. */
export const addressOf = (n: number): string => `10.99.0.${n}`

/** Makes hosts with these names, which resolve to each other. Needs the part `netns`. */
export async function makeHosts<const Names extends readonly string[]>(
  t: Pick<Test, 'teardown'>,
  names: Names,
  options: NetworkOptions = {},
): Promise<{ [K in keyof Names]: TestHost }> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-hosts-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const hostsFile = join(dir, 'hosts')
  const lines = names.map((name, index) => `${addressOf(index + 1)} ${name}`)
  const all = ['127.0.0.1 localhost', ...lines, ...(options.hostsLines ?? [])]
  writeFileSync(hostsFile, `${all.join('\n')}\n`)
  const network = await startNamespaces(t, 'switch')
  // Only its network: `netns` below takes process ids as we see them.
  const enter = ['nsenter', '-t', String(network.initPid), '--net', '--']
  const onSwitch = (...words: string[]) => mustRun([...enter, ...words])
  await onSwitch('ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
  await onSwitch('ip', 'link', 'set', 'br0', 'up')
  const hosts: TestHost[] = []
  for (const [index, name] of names.entries()) {
    const namespaces = await startNamespaces(t, name)
    const card = `port${index + 1}`
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(namespaces.initPid)]
    await onSwitch('ip', 'link', 'add', card, ...peer)
    await onSwitch('ip', 'link', 'set', card, 'master', 'br0', 'up')
    await furnish(namespaces.command, { name, address: addressOf(index + 1), hostsFile })
    hosts.push({
      name,
      address: addressOf(index + 1),
      command: (words) => [...namespaces.command, ...words],
      run: (words, more) => run([...namespaces.command, ...words], more),
      mustRun: (words, more) => mustRun([...namespaces.command, ...words], more),
      setLink: async (state) => {
        const words = ['bash', '-c', SET_LINK, 'bash', card, state]
        return 1000 * Number((await onSwitch(...words)).replace(',', '.'))
      },
      powerOff: () => namespaces.end(),
    })
  }
  return hosts as { [K in keyof Names]: TestHost }
}

interface Namespaces {
  readonly initPid: number
  readonly command: string[]
  end(): Promise<void>
}

async function startNamespaces(t: Pick<Test, 'teardown'>, name: string): Promise<Namespaces> {
  const first = ['bash', '-c', INIT, `host-${name}`]
  const child = start(['unshare', ...ALL, '--fork', '--kill-child', '--mount-proc', ...first])
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended(child)
  }
  t.teardown(end)
  let hasSaid = false
  child.stdout.once('data', () => {
    hasSaid = true
  })
  const needs = [child]
  await until(`the first process of host ${name}`, () => hasSaid, { needs, everyMs: 5 })
  const pid = child.pid ?? 0
  const children = `/proc/${pid}/task/${pid}/children`
  const initPid = await until(`the process id of host ${name}'s first process`, () =>
    Number(readFileSync(children, 'utf8').trim()),
  )
  return { initPid, command: ['nsenter', '-t', String(initPid), ...ALL, '--'], end }
}

/** Name, address, and files of its own: /run is empty but for what sshd needs, name servers are none. */
async function furnish(
  command: readonly string[],
  host: { name: string; address: string; hostsFile: string },
): Promise<void> {
  const script = `
    set -e
    hostname "$1"
    ip link set lo up
    ip address add "$2/24" dev eth0
    ip link set eth0 up
    mount -t tmpfs tmpfs /run
    mkdir -p /run/sshd
    mount --bind "$3" /etc/hosts
    mount --bind /dev/null /etc/resolv.conf`
  await mustRun([...command, 'bash', '-c', script, 'bash', host.name, host.address, host.hostsFile])
}
