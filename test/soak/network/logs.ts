/** What both masters logged of the network and the role since a cut, with how long after it: for whoever asks why. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ABOUT = /role|offer|term|network|hears|stall|killed|keeper/i

interface Line {
  readonly time: number | string
  readonly msg?: string
}

export function tellLogs(dir: string, sinceMs: number, say: (line: string) => void): void {
  for (const host of ['ma', 'mb']) {
    const logs = join(dir, host, 'logs')
    for (const name of readdirSync(logs).filter((one) => /master.*\.log$/.test(one))) {
      for (const text of readFileSync(join(logs, name), 'utf8').split('\n')) tell(host, text)
    }
  }
  function tell(host: string, text: string): void {
    if (!text.startsWith('{')) return
    const { time, msg = '' } = JSON.parse(text) as Line
    const afterMs = new Date(time).getTime() - sinceMs
    if (afterMs >= 0 && ABOUT.test(msg)) say(`  ${host} +${afterMs.toFixed(0)} ms: ${msg}`)
  }
}
