/** Light or dark: as the system says, or as the reader chose here; kept in this browser. */
const KEY = 'tajo-theme'
const ORDER = ['auto', 'light', 'dark']

/** @param {HTMLElement} button */
export function startTheme(button) {
  let theme = stored()
  const show = () => {
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    button.textContent = `Theme: ${theme}`
  }
  button.onclick = () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? 'auto'
    try {
      localStorage.setItem(KEY, theme)
    } catch {
      // A browser that keeps nothing: the choice lasts as long as the page.
    }
    show()
  }
  show()
}

function stored() {
  try {
    const theme = localStorage.getItem(KEY) ?? 'auto'
    return ORDER.includes(theme) ? theme : 'auto'
  } catch {
    return 'auto'
  }
}
