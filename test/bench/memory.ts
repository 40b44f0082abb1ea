/** What a master holds in memory, by its own metrics. */
import type { SoakMaster } from '../soak/soak-master.ts'
import { ask } from '../support/test-masters.ts'

export interface Memory {
  readonly residentMiB: number
  readonly heapMiB: number
}

export async function memoryOf(master: SoakMaster): Promise<Memory> {
  const { text } = await ask(master.ports.info, '/metrics')
  const mebibytes = (name: string): number =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]) / 1024 ** 2
  return {
    residentMiB: mebibytes('process_resident_memory_bytes'),
    heapMiB: mebibytes('nodejs_heap_size_used_bytes'),
  }
}
