/** The claims that a cluster's history tells of, and how far apart those of refused masters are. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { TestCluster } from './test-masters.ts'
import { until } from './until.ts'

interface ClaimOnFile {
  readonly term: number
  readonly address: string
  readonly atMs: number
}

/** Of masters; a tool's term is no claim of theirs. Oldest first. */
export function claimsIn(root: string): ClaimOnFile[] {
  const directory = join(root, 'system', 'ha', 'history')
  return readdirSync(directory)
    .filter((name) => /^\d{10}\.json$/.test(name))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')))
    .filter(({ address }) => address.includes(':'))
    .map(({ term, address, at }) => ({ term, address, atMs: Date.parse(at) }))
}

/** So many claims are counted. */
const COUNTED = 8

/**
 * Masters that none of them can serve: all of them together claim no faster than once in M, and each has its turn. Counts
 * from the claim after `from`.
 */
export async function countClaims(
  t: Test,
  { root, masters }: Pick<TestCluster, 'root' | 'masters'>,
  M: number,
  from = 0,
): Promise<void> {
  const counted = () => claimsIn(root).filter(({ term }) => term > from)
  await until('some more claims', () => counted().length >= COUNTED, {
    productMs: 2 * COUNTED * M,
  })
  const claims = counted()
  const gaps = claims.slice(1).map(({ atMs }, i) => atMs - (claims[i]?.atMs ?? atMs))
  t.comment(`${masters.length} masters, M is ${M} ms, between claims: ${gaps.join(', ')} ms`)
  t.ok(Math.min(...gaps) >= M, 'no two of them within M')
  t.equal(new Set(claims.map(({ address }) => address)).size, masters.length, 'each has its turn')
}
