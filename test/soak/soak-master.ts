/** A master of the soak test: one that can be asked whether its process has ended. */
import type { ChildProcess } from 'node:child_process'
import { TestMaster } from '../support/test-masters.ts'

export class SoakMaster extends TestMaster {
  #child: ChildProcess | null = null

  override launch(env: Readonly<Record<string, string>> = {}): ChildProcess {
    this.#child = super.launch(env)
    return this.#child
  }

  get hasEnded(): boolean {
    return this.#child === null || this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}
