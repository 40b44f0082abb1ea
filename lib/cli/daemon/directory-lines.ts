/** What the process that touches the shared directory says before its first file call: from then on a silence is the mount's. */
export const BEGUN = 'begun\n'
