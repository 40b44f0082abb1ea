/**
 * How long the event loop is kept from everything else while a piece of work goes on: its turns meanwhile, the processor
 * time of the longest and of all, in ms. A slow or busy machine makes both longer, and changes their ratio little.
 */
export async function longestTurn(
  work: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly totalMs: number; readonly turns: number }> {
  let over = false
  let turns = 0
  let ms = 0
  const began = process.cpuUsage()
  const ending = work().finally(() => {
    over = true
  })
  while (!over) {
    const before = process.cpuUsage()
    await new Promise((resolve) => setImmediate(resolve))
    ms = Math.max(ms, process.cpuUsage(before).user / 1000)
    turns += 1
  }
  await ending
  return { ms, totalMs: process.cpuUsage(began).user / 1000, turns }
}
