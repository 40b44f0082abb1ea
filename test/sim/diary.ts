/**
 * A simulated schedule as a diary: what its trace says, without what only says again that all is as it was, in sentences
 * and with the time of each. Pure.
 */

const STATE = /^\s*([\d.]+)\s+(\S+) is (\S+), epoch (\d+)$/
const LINE = /^\s*([\d.]+)\s+(\S.*)$/

const DOES: Readonly<Record<string, (term: string) => string>> = {
  active: (term) => `serves term ${term}`,
  activating: (term) => `holds term ${term} and opens it`,
  backup: (term) =>
    `is a backup${term === '0' ? '' : `; the newest term that it knows is ${term}`}`,
}

/** Takes the trace line by line, and gives the diary's line, or null for what it leaves out. */
export function diary(): (line: string) => string | null {
  const was = new Map<string, string>()
  return (line) => {
    const state = STATE.exec(line)
    if (state !== null) {
      const [, ms = '', who = '', is = '', term = ''] = state
      const now = `${is} ${term}`
      if (was.get(who) === now) return null
      was.set(who, now)
      return entry(ms, `${who} ${DOES[is]?.(term) ?? `is ${is}, term ${term}`}.`)
    }
    const told = LINE.exec(line)
    if (told === null) return line
    const [, ms = '', text = ''] = told
    return entry(ms, sentence(text))
  }
}

function sentence(text: string): string {
  const fault = /^FAULT (.*)$/.exec(text)
  if (fault !== null) return `*** The nemesis strikes: ${fault[1]}.`
  const said = /^(\S+) (?:info|warn|error): (.*)$/.exec(text)
  if (said !== null) return `${said[1]} says: ${said[2]}.`
  return `${text}.`
}

const entry = (ms: string, text: string): string =>
  `${(Number(ms) / 1000).toFixed(3).padStart(9)} s  ${text.replace(/\.\.$/, '.')}`
