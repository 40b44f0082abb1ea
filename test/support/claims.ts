/** The claims that a cluster's history tells of, and how far apart those of refused masters are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { TestCluster } from './test-masters.ts'
import { until } from './until.ts'

interface ClaimOnFile {
  readonly term: number
  readonly address: string
  readonly atMs: number
  /** Why it was made. */
  readonly reason: string
}

/** Of masters; a tool's term is no claim of theirs. Oldest first. */
export function claimsIn(root: string): ClaimOnFile[] {
  const directory = join(root, 'system', 'ha', 'history')
  return readdirSync(directory)
    .filter((name) => /^\d{10}\.json$/.test(name))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')))
    .filter(({ address }) => address.includes(':'))
    .map(({ term, address, at, reason }) => ({ term, address, atMs: Date.parse(at), reason }))
}

/** So many claims are counted. */
const COUNTED = 8

/** Its holder could not serve and gave it up. One that was overtaken on its way, on a busy machine, was not refused. */
function wasRefused(root: string, term: number): boolean {
  const name = `epoch-${String(term).padStart(10, '0')}`
  const path = join(root, 'system', 'ha', 'active', name, 'end.json')
  return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).reason === 'gave-up'
}

/**
 * Masters none of which can serve: all of them together claim no faster than once in M, and each has its turn. Counts from
 * the claim after `from`.
 */
export async function countClaims(
  t: Test,
  { root, masters }: Pick<TestCluster, 'root' | 'masters'>,
  M: number,
  from = 0,
): Promise<void> {
  const counted = () => claimsIn(root).filter(({ term }) => term > from && wasRefused(root, term))
  await until('some more claims', () => counted().length >= COUNTED, {
    productMs: 2 * COUNTED * M,
  })
  const claims = counted()
  const gaps = claims.slice(1).map(({ atMs }, i) => atMs - (claims[i]?.atMs ?? atMs))
  t.comment(`${masters.length} masters, M is ${M} ms, between claims: ${gaps.join(', ')} ms`)
  const told = claims.map(
    ({ term, address, reason }, i) => `${term} ${address} ${reason} ${gaps[i - 1] ?? ''}`,
  )
  t.ok(Math.min(...gaps) >= M, `no two of them within M: ${told.join('; ')}`)
  t.equal(new Set(claims.map(({ address }) => address)).size, masters.length, 'each has its turn')
}
