// Two buttons that save the chart beside them as PNG or SVG, in a template of its own.
//
// Streamlit keeps its plotly.js to itself, but a chart on the page carries the camera button of
// plotly's toolbar, and that button's handler takes any {data, layout}: it is given the chart's
// data in the print template. Should a later version hide it, the user is told of the camera.
export default function (component) {
  const { parentElement, data } = component
  const row = parentElement.querySelector(".row")

  const save = async format => {
    const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`)
    const camera = chart._fullLayout._modeBar.buttons.flat().find(b => b.name === "toImage")
    const { width, height, ...layout } = structuredClone(chart.layout)
    camera.click({
      data: chart.data,
      layout: { ...layout, template: data.template },
      _context: {
        ...chart._context,
        displayNotifier: false,
        toImageButtonOptions: {
          format,
          filename: data.chart,
          width: data.width,
          height: data.height,
          scale: format === "png" ? 2 : 1,
        },
      },
    })
  }

  row.replaceChildren(
    data.words,
    ...["png", "svg"].map(format => {
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = format.toUpperCase()
      button.onclick = () => save(format).catch(error => {
        console.error(error)
        row.replaceChildren(data.failed)
      })
      return button
    })
  )
}
