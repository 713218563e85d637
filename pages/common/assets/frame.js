// What the page itself can't say from Python: its language, that the drawer of a narrow screen is
// done with once a page was chosen in it, that there is something new at the top, and that the theme
// has changed: Streamlit paints the page in it at once, but figures are drawn by the server.
let shown = null
let top = 0
let watch = null
let told = null

export default function (component) {
  const { data, setTriggerValue } = component
  document.documentElement.lang = data.lang
  const narrow = window.matchMedia("(max-width: 640px)").matches
  if (narrow && shown !== null && shown !== data.page) {
    document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click()
  }
  shown = data.page
  if (data.top > top) {
    document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0 })
  }
  top = data.top
  watch?.disconnect()
  const app = document.querySelector("[data-testid=stApp]")
  if (!app) return
  const tell = () => {
    const theme = getComputedStyle(app).colorScheme
    const connected = app.dataset.testConnectionState === "CONNECTED"
    if (theme === data.theme || !connected) told = null
    else if (theme !== told) setTriggerValue("theme", (told = theme))  // once: it may not be heard
  }
  watch = new MutationObserver(tell)
  watch.observe(app, { attributes: true, attributeFilter: ["class", "data-test-connection-state"] })
  tell()
}
