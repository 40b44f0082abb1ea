/**
 * The far end of a storage check: `node check-peer.js DIRECTORY`, where the directory is the same shared one as here.
 * Does file calls as it is told on standard input, and answers on standard output (link.ts). It works in the
 * checking side's scratch directory only, and ends with its input.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { holdOpen } from './check/kit.ts'
import { type PeerAnswer, type PeerRequest, parseLine } from './check/link.ts'
import { mountFacts } from './check/mount-facts.ts'
import { DiskError, messageOf } from './words/errors.ts'
import { realClock } from './world/clock.ts'
import { openDisk } from './world/disk.ts'
import type { Disk } from './world/ports.ts'

/** The calls of `Disk` that a checking side may ask for, without their purpose. */
const DISK_CALLS = ['create', 'glimpse', 'list', 'makeTermDir', 'read', 'touch', 'unlink'] as const
type DiskCall = (typeof DISK_CALLS)[number]
const isDiskCall = (op: string): op is DiskCall => (DISK_CALLS as readonly string[]).includes(op)

function makePeer(directory: string): (request: PeerRequest) => Promise<unknown> {
  let disk: Disk | null = null
  let scratch = ''
  let letGo: (() => Promise<void>) | null = null
  return async ({ op, args }) => {
    if (op === 'identify') return await mountFacts(directory)
    if (op === 'ping') return null
    if (op === 'enter') {
      const name = String(args[0])
      if (!/^check-[0-9a-f-]+$/.test(name)) throw new Error(`${name} is no scratch directory`)
      scratch = join(directory, name)
      disk = openDisk(scratch)
      return null
    }
    if (disk === null) throw new Error(`${op} before a scratch directory was entered`)
    if (op === 'hold') letGo = await holdOpen(join(scratch, String(args[0])))
    else if (op === 'letGo') await letGo?.()
    else if (isDiskCall(op)) return await callDisk(disk, op, args)
    else throw new Error(`${op} is unknown here: both hosts must have the same version`)
    return null
  }
}

/** Arguments come from our own other end of the same version, so their types are those of `Disk`. */
function callDisk(disk: Disk, op: DiskCall, args: readonly unknown[]): Promise<unknown> {
  const call = disk[op] as (purpose: 'check', ...rest: unknown[]) => Promise<unknown>
  return call('check', ...args)
}

function main(directory: string | undefined): void {
  if (directory === undefined) {
    process.stderr.write('usage: check-peer DIRECTORY\n')
    process.exitCode = 2
    return
  }
  const run = makePeer(directory)
  let inFlight = 0
  const answer = (line: PeerAnswer): void => {
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
  const serve = async (request: PeerRequest): Promise<void> => {
    const start = realClock.nowMs()
    const took = () => ({ id: request.id, tookMs: realClock.nowMs() - start })
    inFlight += 1
    try {
      const value = await run(request)
      answer({ ...took(), value })
    } catch (error) {
      const message = messageOf(error)
      const where = error instanceof DiskError ? { errno: error.errno, path: error.path } : {}
      answer({ ...took(), error: { message, ...where } })
    } finally {
      inFlight -= 1
    }
  }
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const request = parseLine<PeerRequest>(line)
    if (request !== null) void serve(request)
  })
  lines.on('close', () => {
    // With a call that hangs on a dead mount no ordinary exit would ever end.
    if (inFlight > 0) process.kill(process.pid, 'SIGKILL')
  })
}

main(process.argv[2])
