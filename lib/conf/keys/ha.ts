/**
 * Keys of high availability: who stands by for whom, how a lost master is noticed, and the periods of the protocol. Nearly
 * all periods are made from one key, so that they fit each other in whatever cluster.
 */
import { builtOn, PERIOD_RULES, type Period } from '../../ha/index.ts'
import { type KeySpec, LONGEST_MS } from './spec.ts'

const MONITOR = 'tajo.master.ha.monitor.interval'
/** The key that sets each period of the protocol. */
export const PERIOD_KEYS = {
  renewMs: 'tajo.master.ha.renew.interval',
  deadlineMs: 'tajo.master.ha.deadline',
  patienceMs: 'tajo.master.ha.patience',
  pollMs: 'tajo.master.ha.poll.interval',
  settleMs: 'tajo.master.ha.settle',
  activationMs: 'tajo.master.ha.activation',
  hangMs: 'tajo.master.ha.hang-limit',
  graceMs: 'tajo.master.ha.handover.grace',
  rankStepMs: 'tajo.master.ha.rank.step',
} as const satisfies Readonly<Record<Period, string>>

/**
 * Makes a key of a period of the protocol, with the protocol's own formula as its default. The inequalities among them
 * are checked where the protocol starts.
 */
const period = (name: Period) => ({
  type: 'duration' as const,
  min: 1,
  max: LONGEST_MS,
  default: {
    words: PERIOD_RULES[name].words,
    from: (value: (key: string) => unknown) =>
      PERIOD_RULES[name].from(
        Number(value(MONITOR)),
        builtOn((period) => Number(value(PERIOD_KEYS[period]))),
      ),
  },
  usedBy: 'master' as const,
  reloadable: false,
  group: 'High availability: periods of the protocol',
})

const ha = { usedBy: 'master', reloadable: false, group: 'High availability' } as const
const haClient = { usedBy: 'client', reloadable: true, group: 'High availability' } as const

export const HA_KEYS = {
  'tajo.master.ha.enable': {
    type: 'boolean',
    default: 'false',
    doc: 'Whether masters stand by for each other; the site file as shipped says true.',
    ...ha,
  },
  [MONITOR]: {
    type: 'duration',
    // The protocol's own smallest one.
    min: 500,
    max: LONGEST_MS,
    default: '5000',
    doc: 'Within this time a lost active master is noticed and replaced; every other period derives from it.',
    ...ha,
  },
  'tajo.master.ha.priority': {
    type: 'integer',
    min: 0,
    max: 1000,
    default: '100',
    doc: 'Among several backup masters the highest number takes over first; 0 means never.',
    ...ha,
  },
  'tajo.master.ha.fencing.methods': {
    type: 'lines',
    line: /^(sshfence(\([A-Za-z0-9_.-]*(:\d{1,5})?\))?|shell\(\s*\/\S.*\))$/,
    allowed: 'sshfence, sshfence([user][:port]) or shell(/path arguments), one a line',
    default: '',
    doc: 'How a master that does not answer is made sure to be dead, tried in this order; empty: its lease has to expire.',
    ...ha,
  },
  'tajo.master.ha.unproven-mount': {
    type: 'choice',
    of: ['refuse', 'warn'],
    default: 'refuse',
    doc: 'With masters on several hosts: what becomes of a start on a kind of mount that tajo haadmin -checkSharedDir --peer has not proven, or that is known to cache; warn goes on with a critical alert, at your own risk.',
    ...ha,
  },
  'tajo.master.ha.network.witness': {
    type: 'lines',
    // A name or an IP address, with a port or without.
    line: /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/,
    commas: true,
    allowed: 'host or host:port, separated by commas or line ends, such as 10.0.0.1 or gateway:22',
    default: '',
    doc: "Addresses of the clients' network that are no members of the cluster, such as its gateway: a master that hears them is preferred to one whose network is cut. Any answer counts, a refused connection too.",
    ...ha,
  },
  'tajo.master.ha.client.read.retry.max-num': {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: '120',
    doc: 'How often a client that finds no active master asks again.',
    ...haClient,
  },
  'tajo.master.ha.client.read.retry.pause-time': {
    type: 'duration',
    min: 1,
    max: LONGEST_MS,
    default: '500',
    doc: 'How long that client waits before it asks again.',
    ...haClient,
  },
  [PERIOD_KEYS.renewMs]: {
    ...period('renewMs'),
    doc: 'Between two renewals of the lease by the active master.',
  },
  [PERIOD_KEYS.deadlineMs]: {
    ...period('deadlineMs'),
    doc: 'So long after its last renewal the active master goes on serving, and not a moment longer.',
  },
  'tajo.master.ha.patience': {
    ...period('patienceMs'),
    doc: 'A lease that was not renewed for so long has expired for its observers.',
  },
  'tajo.master.ha.poll.interval': {
    ...period('pollMs'),
    doc: 'Between two looks of a backup master at the lease.',
  },
  'tajo.master.ha.settle': {
    ...period('settleMs'),
    doc: 'How long the successor waits after it took an expired lease away, so that its holder has noticed.',
  },
  'tajo.master.ha.activation': {
    ...period('activationMs'),
    doc: 'Planned for opening the catalog and starting to serve.',
  },
  'tajo.master.ha.hang-limit': {
    ...period('hangMs'),
    doc: 'A master that does not answer its own keeper for so long is killed by it.',
  },
  'tajo.master.ha.handover.grace': {
    ...period('graceMs'),
    doc: 'How long the others hold back when the role is handed to a named successor.',
  },
  'tajo.master.ha.rank.step': {
    ...period('rankStepMs'),
    doc: 'A contender waits so long for each one that goes before it by priority.',
  },
} as const satisfies Readonly<Record<string, KeySpec>>
