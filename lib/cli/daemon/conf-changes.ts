/**
 * What a running master makes of changed configuration files: log lines, and the limits of the log itself.
 *
 * The configuration in force as the web page lists it: every key, where its value comes from, and no secret.
 */
import type { Log } from '../../base/log.ts'
import {
  type Configuration,
  formatForMessage,
  formatValue,
  type HostList,
  type ReloadEvent,
  specOf,
} from '../../conf/index.ts'
import { unreachable } from '../../ha/index.ts'
import type { ConfigDocument } from '../../web/view.ts'

export function confRows(conf: Configuration): ConfigDocument {
  return {
    confDir: conf.confDir,
    settings: conf.settings().map(({ key, value, source }) => {
      const spec = specOf(key)
      const { doc, group, usedBy, reloadable, secret = false } = spec
      return {
        key,
        value: formatForMessage(key, formatValue(value)),
        source: source === null ? null : { ...source },
        default: typeof spec.default === 'string' ? spec.default : spec.default.words,
        doc,
        group,
        usedBy,
        reloadable,
        secret,
      }
    }),
  }
}

const IN_FORCE = 'the configuration files say again what is in force'

/** What counts from now on. */
export interface InForce {
  readonly configuration: Configuration
  readonly masters: HostList
}

export function onConfChange(
  event: ReloadEvent,
  { log, apply }: { log: Log; apply: (now: InForce) => void },
): void {
  switch (event.kind) {
    case 'changed':
      apply(event)
      for (const { key, from, to } of event.reloaded) {
        log('info', `configuration changed: ${key} is now ${shown(to)}`, {
          event: 'conf-changed',
          key,
          from,
          to,
        })
      }
      for (const { key, from, to } of event.needRestart) {
        if (event.derived.includes(key)) continue // the key that it follows is told
        const text = `configuration changed: ${key} is ${shown(to)} in the file, but stays ${shown(from)} until this master is restarted`
        log('warn', text, { event: 'conf-change-waits', key, from, to })
      }
      if (event.mastersBefore !== null) tellMasters(event.mastersBefore, event.masters, log)
      else if (event.reloaded.length + event.needRestart.length === 0)
        log('info', IN_FORCE, { event: 'conf-confirmed' })
      return
    case 'refused':
      log('error', `the changed configuration is not taken over: ${event.error.message}`, {
        event: 'conf-refused',
      })
      return
    case 'mended':
      log('info', IN_FORCE, { event: 'conf-confirmed' })
      return
    case 'blind':
      log('warn', `changes of the configuration are noticed at SIGHUP only: ${event.why}`, {
        event: 'conf-watch-failed',
      })
      return
    default:
      unreachable(event)
  }
}

const shown = (value: string): string => (value === '' ? 'empty' : value.replaceAll('\n', ' | '))

/** Masters find each other in the shared directory; the list is for the start scripts and for people. */
function tellMasters(before: HostList, now: HostList, log: Log): void {
  const names = (list: HostList): string[] => list.entries.map(({ name }) => name)
  const added = names(now).filter((name) => !names(before).includes(name))
  const removed = names(before).filter((name) => !names(now).includes(name))
  const parts = [
    ...added.map((name) => `${name} added (start-tajo.sh starts it)`),
    ...removed.map((name) => `${name} removed (if it runs, it stays a member until it is stopped)`),
  ]
  log('info', `${now.file} changed: ${parts.join(', ')}`, {
    event: 'masters-file-changed',
    added,
    removed,
  })
}
