/**
 * Hand-written cases in a small language, run in the same world as the seeds but with nothing left to chance. A line is
 * one step; `#` begins a remark. Times are milliseconds.
 *
 *     world masters 3 hosts 3 monitor 1000 [hdfs] [fencing]     the first line; `monitor 5000/500`: each master has one of
 *                                 these in turn, and after each restart the next one
 *     start m1 m2                 start these masters
 *     wait 500                    let time pass
 *     active m1 m2 within 300     one of these serves by then
 *     silent m1 for 300           it answers nothing all that time
 *     nobody for 300              the same for all
 *     changes within 300          a change is acknowledged by then
 *     term 3                      the active's term
 *     terms at most 20            so many have a directory
 *     take-over m1 by force       an operator's command; it may be refused
 *     hand-over m1 to m2 [by force]     the same, at the active m1; `to nobody`: whoever is best, and with force nobody
 *     full m2                     from now on the disk is full for the claims and the reserve of this one
 *     fault kill master at m1 for 500             any of faults.ts, now
 *     on claim create 1 of m2: fault freeze host for 500     just before m2's first `create` for the purpose `claim`
 *     stale 60000                 attributes and listings are that old from now on
 *     hang / back grace 600       the storage for all: hangs, is back with a grace period
 *     heal                        undo everything
 *
 * The auditor watches every step; a broken rule fails the scenario.
 */

import { makeTiming } from '../../lib/ha/rules/timing.ts'
import { ACTIVE_DIR } from '../../lib/ha/words/layout.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import { FAULTS, type FaultName } from './faults.ts'
import type { Master } from './master.ts'
import { drawProfile, type Profile } from './profile.ts'

const STEP_MS = 2

interface Waiting {
  readonly text: string
  readonly purpose: string
  readonly verb: string
  readonly master: Master
  left: number
  readonly run: () => void
}

/** Runs a whole text; rejects with the line that failed. `write` gets a trace; `breaks` are rules broken on purpose. */
export async function runScenario(
  text: string,
  write: ((line: string) => void) | null = null,
  breaks: Breaks = {},
): Promise<{ seconds: number }> {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim())
  const world = lines.findIndex((line) => line !== '')
  const cluster = new Cluster(profileOf(lines[world] ?? ''), breaks, write)
  const scenario = new Scenario(cluster)
  for (const [i, line] of lines.entries()) {
    if (i <= world || line === '') continue
    cluster.world.trace(() => `--- ${line}`)
    const problem = await scenario.step(line)
    const { violation } = cluster.auditor
    const why = violation?.message ?? problem
    if (why !== null) throw new Error(`line ${i + 1}, "${line}": ${why}`)
  }
  const idle = scenario.idleTriggers()
  if (idle.length > 0) throw new Error(`never came: ${idle.join('; ')}`)
  return { seconds: cluster.world.timeline.nowMs / 1000 }
}

function profileOf(line: string): Profile {
  const match = /^world masters (\d) hosts (\d) monitor (\d+(?:\/\d+)*)( hdfs)?( fencing)?$/.exec(
    line,
  )
  if (match === null) throw new Error(`"${line}" is no world`)
  const [masters, hosts] = match.slice(1, 3).map(Number)
  const timings = (match[3] ?? '').split('/').map((ms) => makeTiming(Number(ms)))
  const [timing = makeTiming()] = timings
  return {
    ...drawProfile(1),
    timing,
    timings,
    masters: masters ?? 3,
    hosts: hosts ?? 3,
    priorities: [],
    fencing: match[5] !== undefined,
    maxDrift: 0,
    fresh: true,
    past: 0,
    hostileMs: 0,
    auditReads: true,
    network: null,
    changeEveryMs: timing.monitorMs / 50,
    storage: {
      hdfs: match[4] !== undefined,
      granularityMs: 0.001,
      latencyMs: 0.5,
      peakMs: 1,
      peakShare: 0,
      delegations: false,
      leaseMs: 1,
      linksIgnored: false,
      absenceMs: 30_000,
    },
  }
}

class Scenario {
  readonly #cluster: Cluster
  readonly #waiting: Waiting[] = []

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    cluster.onCall = (master, call) => {
      for (const waiting of this.#waiting) {
        if (waiting.master !== master || waiting.purpose !== call.purpose) continue
        if (waiting.verb !== call.verb || waiting.left === 0) continue
        waiting.left -= 1
        if (waiting.left === 0) waiting.run()
      }
    }
  }

  /** Null, or what is wrong. */
  async step(line: string): Promise<string | null> {
    const { world, auditor } = this.#cluster
    const { timeline, storage } = world
    const [verb = '', ...rest] = line.split(' ')
    const numberAt = (word: string): number => {
      const value = Number(rest[rest.indexOf(word) + 1])
      if (!Number.isFinite(value)) throw new Error(`"${line}": a number is missing after ${word}`)
      return value
    }
    switch (verb) {
      case 'start':
        for (const name of rest) this.#master(name).start()
        return null
      case 'wait':
        await timeline.runUntil(timeline.nowMs + Number(rest[0]))
        return null
      case 'active': {
        const wanted = rest.slice(0, rest.indexOf('within')).map((name) => this.#master(name))
        const serves = (): boolean => wanted.some((master) => master.awake && master.serves)
        return this.#until(serves, numberAt('within'), 'none of them serves')
      }
      case 'changes': {
        const before = auditor.acks
        return this.#until(() => auditor.acks > before, numberAt('within'), 'none acknowledged')
      }
      case 'silent': {
        const master = this.#master(rest[0] ?? '')
        return this.#never(() => master.awake && master.serves, numberAt('for'), 'it serves')
      }
      case 'nobody':
        return this.#never(
          () => this.#cluster.masters.some((master) => master.awake && master.serves),
          numberAt('for'),
          'somebody serves',
        )
      case 'term': {
        const term = this.#cluster.active?.life?.core.term() ?? 0
        return term === Number(rest[0]) ? null : `it is ${term}`
      }
      case 'terms': {
        const { length } = storage.server.names(ACTIVE_DIR) ?? []
        return length <= numberAt('most') ? null : `there are ${length}`
      }
      case 'take-over':
        this.#master(rest[0] ?? '').order((core) =>
          core.takeOver({ force: rest.includes('force'), by: 'operator' }),
        )
        return null
      case 'hand-over': {
        const [from = '', , to = ''] = rest
        const successor = to === 'nobody' ? null : this.#master(to).address
        this.#master(from).order((core) =>
          core.handOver(successor, { force: rest.includes('force'), by: 'operator' }),
        )
        return null
      }
      case 'full':
        this.#cluster.full.add(this.#master(rest[0] ?? '').address)
        return null
      case 'fault':
        this.#fault(line)
        return null
      case 'on':
        this.#on(line)
        return null
      case 'stale':
        storage.weather.staleAttributeMs = Number(rest[0])
        storage.weather.staleListingMs = Number(rest[0])
        return null
      case 'hang':
        storage.hangAll()
        return null
      case 'back':
        storage.recover(numberAt('grace'))
        return null
      case 'heal':
        this.#cluster.heal(0)
        return null
      default:
        throw new Error(`"${line}" is no step`)
    }
  }

  /** A scenario whose trigger didn't strike shows nothing. */
  idleTriggers(): string[] {
    return this.#waiting.filter((waiting) => waiting.left > 0).map((waiting) => waiting.text)
  }

  #master(name: string): Master {
    const master = this.#cluster.masters.find((one) => one.address.startsWith(`${name}:`))
    if (master === undefined) throw new Error(`there is no master ${name}`)
    return master
  }

  #fault(text: string): void {
    const match = /^fault (.+) at (m\d)(?: for (\d+))?$/.exec(text)
    const name = match?.[1] as FaultName | undefined
    if (match === null || name === undefined || !(name in FAULTS)) {
      throw new Error(`"${text}" is no fault`)
    }
    const forMs = match[3] === undefined ? 1e9 : Number(match[3])
    FAULTS[name]({ cluster: this.#cluster, target: this.#master(match[2] ?? ''), forMs })
  }

  #on(text: string): void {
    const match = /^on (\S+) (\S+) (\d+) of (m\d): fault (.+?)( for \d+)?$/.exec(text)
    if (match === null) throw new Error(`"${text}" is no trigger`)
    const [, purpose = '', verb = '', count, name = '', fault, forMs = ''] = match
    this.#waiting.push({
      text,
      purpose,
      verb,
      master: this.#master(name),
      left: Number(count),
      run: () => this.#fault(`fault ${fault} at ${name}${forMs}`),
    })
  }

  async #until(holds: () => boolean, withinMs: number, problem: string): Promise<string | null> {
    const { timeline } = this.#cluster.world
    const untilMs = timeline.nowMs + withinMs
    while (!holds()) {
      if (timeline.nowMs >= untilMs || this.#cluster.auditor.violation !== null) return problem
      await timeline.runUntil(Math.min(untilMs, timeline.nowMs + STEP_MS))
    }
    return null
  }

  async #never(fails: () => boolean, forMs: number, problem: string): Promise<string | null> {
    const { timeline } = this.#cluster.world
    const untilMs = timeline.nowMs + forMs
    while (timeline.nowMs < untilMs && this.#cluster.auditor.violation === null) {
      if (fails()) return problem
      await timeline.runUntil(Math.min(untilMs, timeline.nowMs + STEP_MS))
    }
    return null
  }
}
