/**
 * What a worker tells of its tasks goes in one message, a heartbeat or a registration, and a master refuses one of more than
 * 64 MB (lib/rpc, server.ts): a worker whose message is longer could not report at all, would be lost with all that it runs,
 * and so would the next one that gets the same query. So all that grows has its bound here, in characters, each of which is
 * three bytes at most, and the sum of them has room below those 64 MB:
 *
 * - tasks, of which a registration has them all: `TASK_CHARS`; what does not fit is not taken (task-list.ts);
 * - errors: `ERROR_CHARS` each, for a thousand reports at most;
 * - manifests: `MANIFEST_CHARS` and `MANIFEST_FILES` for all of a message together, since a master reads them in one piece;
 *   what has no room is told of only, and the master fetches it (`worker.manifest`).
 */

/** As JSON, of all that run or have ended and are still to be told. */
export const TASK_CHARS = 12 * 1024 * 1024
const ERROR_CHARS = 4000
export const MANIFEST_FILES = 1000
const MANIFEST_CHARS = 256 * 1024

/** An engine's error may quote the whole value that it could not convert. */
export const cutError = (message: string): string =>
  message.length > ERROR_CHARS ? `${message.slice(0, ERROR_CHARS)}…` : message

/** Of one message. */
export class MessageRoom {
  #files = MANIFEST_FILES
  #chars = MANIFEST_CHARS

  /** Whether a manifest has a place in it, which is taken then. */
  take({ files, chars }: { readonly files: number; readonly chars: number }): boolean {
    if (files > this.#files || chars > this.#chars) return false
    this.#files -= files
    this.#chars -= chars
    return true
  }
}
