// Tells the page once that a figure is drawn, so that the figures below it are drawn after it:
// plotly draws all that are there in turns, and the first would be ready with the last.
const LONGEST = 3000 // milliseconds; then the page goes on whatever became of the figure

export default function (component) {
  const { data, setStateValue } = component
  if (data.drawn) return
  const began = Date.now()
  const timer = setInterval(() => {
    const figure = document.querySelector(`.st-key-${data.chart}`)
    const done = figure?.querySelector(".scatterlayer .trace, .annotation")
    if (!done && Date.now() - began < LONGEST) return
    clearInterval(timer)
    setStateValue("drawn", true)
  }, 30)
  return () => clearInterval(timer)
}
