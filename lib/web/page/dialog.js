/** One question at a time, in the browser's own modal dialog: focus stays inside, Escape says no. */
import { h, patch } from './dom.js'

/**
 * Resolves to null for no; to what was typed (empty without `secret`) for yes.
 * @param {{title: string, text: string, action: string, secret?: string | null}} question
 * @returns {Promise<string | null>}
 */
export function confirmed({ title, text, action, secret = null }) {
  const dialog = document.createElement('dialog')
  dialog.setAttribute('aria-labelledby', 'question')
  document.body.append(dialog)
  return new Promise((resolve) => {
    patch(
      dialog,
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'question' }, title),
        h('p', null, text),
        secret === null
          ? null
          : h(
              'label',
              null,
              secret,
              h('input', { type: 'password', name: 'secret', autocomplete: 'off', required: true }),
            ),
        h(
          'p',
          { class: 'row' },
          h('button', { value: 'yes', class: 'danger' }, action),
          h(
            'button',
            { value: 'no', formnovalidate: true, autofocus: secret === null },
            'No, go back',
          ),
        ),
      ),
    )
    dialog.onclose = () => {
      const typed = dialog.querySelector('input')?.value ?? ''
      dialog.remove()
      resolve(dialog.returnValue === 'yes' ? typed : null)
    }
    dialog.showModal()
  })
}
