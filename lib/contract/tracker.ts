/** What a worker tells the active master: who it is, what it runs, whose directory it has, and how it ended. */
import { z } from 'zod'
import { activeStatus, call, epoch, nothing, type ServiceContract } from './method.ts'
import { queryId } from './query.ts'
import { task, taskReport } from './task.ts'
import { nonce, sideOfContest } from './umbilical.ts'
import { workerId, workerInfo } from './worker.ts'

const directoryKey = z.string().min(1).max(100)
/** This term's nonces that a worker has found, one for each directory; left out by one that proves nothing (0.1). */
const proven = z.array(nonce).max(10).nullish()

/** How many processes the kernel of a worker's host has killed for want of memory since it was booted; null: not known. */
const oomKills = z.number().int().min(0).nullish()

export const tracker = {
  ...activeStatus,
  /** First words to each new active: who it is and all that it runs, with the tasks, so that they can be adopted. */
  register: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      worker: workerInfo,
      tasks: z.array(z.object({ task, report: taskReport })),
      storage: z.string().max(2000).nullish(),
      spill: z.string().max(2000).nullish(),
      proven,
      oomKills,
    }),
    z.object({
      epoch,
      /** Ended ones it may forget, and running ones to stop. */ forget: z.array(queryId),
      /** Why it is not registered, a sentence for its log; null or left out: it is. */
      refused: z.string().max(2000).nullish(),
    }),
  ),
  /** Each idle or active interval, and at once when a task ends. */
  heartbeat: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      freeSlots: z.number().int(),
      reports: z.array(taskReport),
      /** What is wrong with its mount of the shared directory; null when nothing is. */
      storage: z.string().max(2000).nullish(),
      /** What has happened to its spill directory; null when nothing has. */
      spill: z.string().max(2000).nullish(),
      proven,
      oomKills,
    }),
    z.object({
      epoch,
      /** False: register first. */
      known: z.boolean(),
      forget: z.array(queryId),
      /** Why this master gives it no queries, where it does not know that by itself. */
      barred: z.string().max(2000).nullish(),
    }),
  ),
  /** Are its directories ours? The answer to what it has made there, and what it has to look for. */
  prove: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      /** Files that it has just made, with its incarnation in them; none: it asks what to look for. */
      made: z.array(z.object({ key: directoryKey, nonce })).max(10),
    }),
    z.object({
      /** This master's host, for people. */
      host: z.string(),
      places: z.array(
        z.object({
          key: directoryKey,
          /** Where the files lie, as this master has it. */
          path: z.string(),
          /** The file of this term in it; null: nobody can prove it now (`why`). */
          nonce: nonce.nullable(),
          why: z.string().nullable(),
        }),
      ),
      found: z.array(z.object({ nonce, check: sideOfContest })),
    }),
  ),
  /** A worker that has another directory under `tajo.rootdir`, or none, says so to every master: it can't register. */
  astray: call(
    { access: 'who', activeOnly: false },
    z.object({ workerId, host: z.string().max(300), why: z.string().max(1000) }),
    nothing,
  ),
  /** How a worker's process ended, by whoever had started it: nobody else is told the signal. */
  ended: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      /** As a shell has it: 128 and the signal's number, or the exit code. */
      code: z.number().int().min(0).max(255),
      oomKills,
      /** The same when it was started. */
      oomKillsBefore: oomKills,
    }),
    nothing,
  ),
  /** Open while this master is active; its end makes the worker look for the new active at once. */
  follow: {
    kind: 'stream',
    access: 'cluster',
    request: z.object({ workerId, incarnation: z.string() }),
    line: z.object({ epoch }),
  },
} as const satisfies ServiceContract

export type Ended = z.output<(typeof tracker.ended)['request']>
