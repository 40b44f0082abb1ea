/** Ports for what a test starts, out of blocks that this process holds: no other test can take them meanwhile. */
import { BLOCK_PORTS, takePortBlock } from '../../lib/cli/port-block.ts'

let block: Promise<number> | null = null
let used = 0

/** The first of `count` free ports in a row; none is given out twice. */
export async function freePortRow(count: number): Promise<number> {
  if (block === null || used + count > BLOCK_PORTS - 1) {
    block = takePortBlock(Math.random)
    used = 0
  }
  const from = used
  used += count
  return (await block) + from
}
