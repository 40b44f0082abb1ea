/**
 * What the masters answered when all of them were asked at the same moments, and what follows from it: two that were
 * active at once, how long nobody was, how often the role has moved. Pure.
 */
export interface Answer {
  readonly host: string
  /** When it was asked, and when the answer was there, ms of the wall clock. */
  readonly askedMs: number
  readonly saidMs: number
  /** `/health/active` was 200. */
  readonly isActive: boolean
}

/** The answers of all masters that were asked at one moment. */
export type Look = readonly Answer[]

interface Tenure {
  readonly host: string
  /** Active for certain from the first answer to the last question. */
  readonly fromMs: number
  toMs: number
}

/** Of each master: its answers "active" in a row. An answer may be as old as its question, so the ends are not certain. */
function tenures(looks: readonly Look[]): Tenure[] {
  const open = new Map<string, Tenure>()
  const all: Tenure[] = []
  const answers = looks.flat().sort((a, b) => a.askedMs - b.askedMs)
  for (const { host, askedMs, saidMs, isActive } of answers) {
    const tenure = open.get(host)
    if (!isActive) open.delete(host)
    else if (tenure !== undefined) tenure.toMs = askedMs
    else {
      const begun = { host, fromMs: saidMs, toMs: askedMs }
      open.set(host, begun)
      all.push(begun)
    }
  }
  return all
}

/** Each pair of masters that were active at once, in words. An active that was followed may have answered late. */
export function twoActives(looks: readonly Look[]): string[] {
  const certain = tenures(looks).filter(({ fromMs, toMs }) => fromMs < toMs)
  return certain.flatMap((one, i) =>
    certain
      .slice(i + 1)
      .filter((other) => other.host !== one.host)
      .flatMap((other) => {
        const ms = Math.min(one.toMs, other.toMs) - Math.max(one.fromMs, other.fromMs)
        return ms <= 0 ? [] : [`${one.host} and ${other.host} for at least ${ms.toFixed(0)} ms`]
      }),
  )
}

/** Looks in which two said that they are active. A hand-over between two answers is one as well. */
export const doubleLooks = (looks: readonly Look[]): number =>
  looks.filter((look) => look.filter(({ isActive }) => isActive).length > 1).length

export interface Service {
  /** From then until a master is active again after the first time without one; 0 without any, null where it has no end. */
  readonly servedMs: number | null
  /** The longest time without one after that. */
  readonly laterGapMs: number
}

/** Of the looks from `fromMs` on. A master that takes too long to answer serves nobody. */
export function serviceFrom(looks: readonly Look[], fromMs: number): Service {
  const gaps: { readonly fromMs: number; toMs: number | null }[] = []
  let open: { readonly fromMs: number; toMs: number | null } | null = null
  for (const look of looks) {
    const askedMs = look[0]?.askedMs ?? Number.NaN
    if (!(askedMs >= fromMs)) continue
    const saidMs = look.filter(({ isActive }) => isActive).map((answer) => answer.saidMs)
    if (saidMs.length > 0) {
      if (open !== null) open.toMs = Math.min(...saidMs)
      open = null
    } else if (open === null) {
      open = { fromMs: askedMs, toMs: null }
      gaps.push(open)
    }
  }
  const [first, ...later] = gaps
  const lastMs = looks.at(-1)?.[0]?.askedMs ?? fromMs
  return {
    servedMs: first === undefined ? 0 : first.toMs === null ? null : first.toMs - fromMs,
    laterGapMs: Math.max(0, ...later.map((gap) => (gap.toMs ?? lastMs) - gap.fromMs)),
  }
}

/** How often another master than before was active. */
export function movesOf(looks: readonly Look[]): number {
  const hosts = tenures(looks)
    .sort((a, b) => a.fromMs - b.fromMs)
    .map(({ host }) => host)
  return hosts.filter((host, i) => i > 0 && host !== hosts[i - 1]).length
}
