/** What a master is started with, as plain values and calls: `cli/daemon/master-life.ts` makes them of the configuration. */

import type { Audit } from '../base/audit.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import type { Addresses, Member, Service, Timing } from '../ha/index.ts'
import type { Authentication, Bind, Certificate, Membership } from '../serve/index.ts'
import type { ConfigDocument, WebRules } from '../web/view.ts'
import type { NetworkOptions } from './network/network.ts'
import type { QueryOptions } from './queries/options.ts'

export interface MasterOptions {
  /** Umbilical address: the master's name in the cluster. */
  readonly address: string
  readonly binds: { readonly [K in keyof Addresses]: Bind }
  /** To each port. */
  readonly connectionsPerAddress: number
  /** Takes part in the election for `service`. `onFailure` is called when it can't go on later. */
  /** What is shown to people's programs, which know this cluster by it. Rejects with an Error that names the file. */
  readonly certify: (clusterId: string) => Promise<Certificate>
  readonly join: (
    service: Service,
    onFailure: (error: Error) => void,
  ) => Promise<{ readonly member: Member } & Membership>
  /** Of the cluster's files, for those of other clusters: tajo.rootdir. */
  readonly rootDirectory: string
  /** What is wrong with that directory's owners. */
  readonly directoryWarnings: () => readonly string[]
  /** What is wrong with the tables' directory, a sentence each. */
  readonly warehouse: () => readonly string[]
  /** Between two lines on a watch stream. */
  readonly beatMs: number
  /** So long a silence on one means a frozen peer. */
  readonly silenceMs: number
  /** So long may the orderly end take; after it everything is dropped, and the keeper says the last word. */
  readonly stopMs: number
  /** What clients have to prove. */
  readonly authentication: Authentication
  /** Null: it takes part in the election and serves no queries. */
  readonly queries: QueryOptions | null
  /** Null when high availability is off. */
  readonly timing: Timing | null
  readonly web: WebRules
  /** By which browsers may ask the info port, besides the known masters' own, lower case. */
  readonly names: () => readonly string[]
  /** How it measures the clients' network: whose network it is on, and who is asked beside the members. */
  readonly network: Pick<NetworkOptions, 'network' | 'witnesses'>
  /** The configuration in force, for people; no secrets. */
  readonly config: () => ConfigDocument
  /** Umbilical addresses of all masters, as conf/masters lists them at the moment. */
  readonly listed: () => readonly string[]
  readonly version: string
  /** This master can't take part any more: the process should end. */
  readonly onFailure: (error: Error) => void
  readonly pid: number
  /** Wall clock, seconds since the Unix epoch. */
  readonly startedAtSeconds: number
  readonly clock: Clock
  /** ms since 1970, for records that people read. */
  readonly wallMs: () => number
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

/** Without high availability there is no monitor interval. */
export const UNTIMED_MS = 5000
