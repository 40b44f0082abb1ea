/**
 * Whether a text says that nothing more can be written. Engines and database servers hand the system's own words on, and
 * often nothing else: a quota counts like a full disk, as it does where the error's number is known (`comesOfNoSpace`).
 */
const WORDS = ['No space left on device', 'Disk quota exceeded']

export const saysNoSpace = (text: string): boolean => WORDS.some((words) => text.includes(words))
