// What the page itself can't say from Python: its language, and that the drawer of a narrow screen is
// done with once a page was chosen in it.
let shown = null

export default function (component) {
  const { data } = component
  document.documentElement.lang = data.lang
  const narrow = window.matchMedia("(max-width: 640px)").matches
  if (narrow && shown !== null && shown !== data.page) {
    document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click()
  }
  shown = data.page
}
