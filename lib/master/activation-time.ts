/**
 * How long this master's last activation took, against what the monitor interval leaves for it: the promise that a lost host
 * is replaced within M holds only while a take-over's last step, the opening of the catalog, fits into the rest. Nobody
 * would notice before the day of the loss, so whoever is active and took longer says so, with the numbers.
 */
import { lossMs, type Timing } from '../ha/index.ts'

/** What is left of M for the activation when nothing proves the death of the last active; ms. */
export const roomForActivationMs = (timing: Timing): number =>
  timing.monitorMs - lossMs({ ...timing, activationMs: 0 })

/** A sentence when it took longer than there is room for; null when it did not. */
export function slowActivation(term: number, tookMs: number, timing: Timing): string | null {
  const roomMs = roomForActivationMs(timing)
  if (tookMs <= roomMs) return null
  const enoughMs = Math.ceil((timing.monitorMs * tookMs) / roomMs / 1000) * 1000
  return `this master took ${seconds(tookMs)} s to open the catalog in term ${term}, and a monitor interval of ${seconds(timing.monitorMs)} s leaves ${seconds(roomMs)} s for it: a host that is lost may be replaced later than promised. Either the storage is slow, or the catalog is large for it; tajo.master.ha.monitor.interval would have to be ${enoughMs / 1000} s`
}

const seconds = (ms: number): string => String(Math.round(ms / 100) / 10)
