// A picture with the square that is cut out of it: drag on the picture to draw another one, inside
// of the square to move it, at a corner to resize it. The keyboard's way are the sliders beside it.
//
// Python gives the picture and the square's edges as fractions of width and height, and gets those
// of the new one, once, when the pointer is released.
const CORNERS = { nw: [1, 1], ne: [0, 1], sw: [1, 0], se: [0, 0] } // each: the opposite corner

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  const stage = parentElement.querySelector(".stage")
  const image = parentElement.querySelector("img")
  const square = parentElement.querySelector(".square")
  if (image.src !== data.picture) image.src = data.picture
  image.alt = data.alt
  stage.title = data.hint
  stage.classList.toggle("coarse", data.coarse)
  stage.classList.toggle("movable", data.movable)

  const show = box => {
    square.hidden = !box
    if (!box) return
    for (const edge of ["left", "top", "width", "height"]) square.style[edge] = `${100 * box[edge]}%`
  }
  show(data.square)

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
  const place = event => {
    const { left, top, width, height } = image.getBoundingClientRect()
    return {
      x: clamp(event.clientX - left, 0, width),
      y: clamp(event.clientY - top, 0, height),
      width,
      height,
    }
  }

  // The square with one corner at the anchor that reaches for the pointer, inside of the picture.
  const stretched = (anchor, at) => {
    const [right, down] = [at.x >= anchor.x, at.y >= anchor.y]
    const room = Math.min(
      right ? at.width - anchor.x : anchor.x,
      down ? at.height - anchor.y : anchor.y
    )
    const wanted = Math.max(Math.abs(at.x - anchor.x), Math.abs(at.y - anchor.y))
    const side = clamp(wanted, Math.min(data.least * Math.min(at.width, at.height), room), room)
    return fractions(right ? anchor.x : anchor.x - side, down ? anchor.y : anchor.y - side, side, at)
  }
  const fractions = (left, top, side, { width, height }) => ({
    left: left / width,
    top: top / height,
    width: side / width,
    height: side / height,
  })

  stage.onpointerdown = event => {
    if (event.button !== 0) return
    event.preventDefault()
    stage.setPointerCapture(event.pointerId)
    const start = place(event)
    const corner = CORNERS[event.composedPath()[0].dataset?.corner]
    const old = data.square
    const inside = event.composedPath().includes(square) && data.movable
    let drawn = null

    stage.onpointermove = moved => {
      const at = place(moved)
      if (!drawn && Math.hypot(at.x - start.x, at.y - start.y) < 4) return
      if (corner) {
        const x = (old.left + corner[0] * old.width) * at.width
        const y = (old.top + corner[1] * old.height) * at.height
        drawn = stretched({ x, y }, at)
      } else if (inside) {
        const side = old.width * at.width
        const left = clamp(old.left * at.width + at.x - start.x, 0, at.width - side)
        const top = clamp(old.top * at.height + at.y - start.y, 0, at.height - side)
        drawn = fractions(left, top, side, at)
      } else {
        drawn = stretched(start, at)
      }
      show(drawn)
    }
    stage.onpointerup = () => {
      stage.onpointermove = stage.onpointerup = null
      if (drawn) setTriggerValue("drawn", drawn)
    }
    stage.onpointercancel = () => {
      stage.onpointermove = stage.onpointerup = null
      show(data.square)
    }
  }
}
