// What the page itself can't say from Python: its language, that the drawer of a narrow screen is
// done with once a page was chosen in it, and that there is something new at the top.
let shown = null
let top = 0

export default function (component) {
  const { data } = component
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
}
