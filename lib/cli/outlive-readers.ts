/** A daemon whose terminal or log reader went away goes on: what it had to print is in its log too. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error')
    stream.on('error', () => undefined)
  }
}
