() => {
  const parse = text => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number)
  const colour = text => {
    if (text.startsWith("color(srgb")) {
      const [r, g, b, a = 1] = parse(text.replace("srgb", ""))
      return [255 * r, 255 * g, 255 * b, a]
    }
    const [r, g, b, a = 1] = parse(text)
    return [r, g, b, a]
  }
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]))
  const luminance = rgb => {
    const [r, g, b] = rgb.map(c => {
      c /= 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const parents = e => { const all = []; for (; e; e = e.parentElement) all.push(e); return all }
  const faint = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim()
    const element = walker.currentNode.parentElement
    if (!text || /^(STYLE|SCRIPT|NOSCRIPT)$/.test(element.tagName)) continue
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    if (element.closest("[data-testid=stIconMaterial], [aria-hidden=true], [disabled]")) continue
    const box = element.getBoundingClientRect()
    if (!box.width || !box.height) continue
    const line = parents(element)
    const under = one => { // a slider's value is a child of its thumb, which is smaller than it
      const ground = one.getBoundingClientRect()
      return ground.width >= box.width || ground.height >= box.height
    }
    let ground = [255, 255, 255]
    for (const one of [...line].reverse().filter(under)) {
      ground = over(colour(getComputedStyle(one).backgroundColor), ground)
    }
    const opacity = line.reduce((product, one) => product * getComputedStyle(one).opacity, 1)
    const style = getComputedStyle(element)
    const svg = element instanceof SVGElement
    const ink = colour(svg ? style.fill : style.color)
    const shown = over([...ink.slice(0, 3), ink[3] * opacity], ground)
    const [dark, light] = [luminance(shown), luminance(ground)].sort((a, b) => a - b)
    const ratio = (light + 0.05) / (dark + 0.05)
    // A coloured glyph is a mark, not a word: 3:1.
    const least = /^[\u2500-\u2bff\s]+$/.test(text) ? 3 : 4.5
    if (ratio < least) faint.push([ratio.toFixed(2), text.slice(0, 40), element.tagName])
  }
  return faint
}
