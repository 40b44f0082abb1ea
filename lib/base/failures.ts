/** What the system says when something fails, read and told in one way: whatever was thrown, a full disk, a host that is silent. */

/**
 * Whether a text says that nothing more can be written. Engines and database servers hand the system's own words on, and
 * often nothing else: a quota counts like a full disk, as it does where the error's number is known (`comesOfNoSpace`).
 */
const WORDS = ['No space left on device', 'Disk quota exceeded']

export const saysNoSpace = (text: string): boolean => WORDS.some((words) => text.includes(words))

/** The sentence in whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)

/** Why a connection could not be made, in words for people, by the system's name of the error. */
export const WHY_UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused, nothing listens there',
  ENOTFOUND: 'the host name is unknown here',
  EAI_AGAIN: 'the host name could not be resolved',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'it closed the connection',
}
