// A picture from the clipboard, handed to the page's file uploader as if it had been dropped on it.
//
// Ctrl+V anywhere on the page, or the button, where the browser lets a page read the clipboard.
// The uploader then does what it does for files: limits, transfer, its list. Nothing is read here.
// Where the page shows no uploader, Python is asked for it first (the trigger `wanted`).
const listeners = new WeakMap()
let count = 0

const named = file => {
  const ending = file.type.replace("image/", "").replace(/\+.*/, "") || "png"
  count += 1
  return new File([file], `pasted-${count}.${ending}`, { type: file.type })
}

const later = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  const button = parentElement.querySelector("button")
  const message = parentElement.querySelector("[role=status]")
  const uploader = () => document.querySelector(`.st-key-${data.uploader} input[type=file]`)

  const give = async files => {
    message.textContent = ""
    if (!uploader()) setTriggerValue("wanted", true)
    for (let waited = 0; !uploader() && waited < 10000; waited += 100) await later(100)
    const transfer = new DataTransfer()
    files.forEach(file => transfer.items.add(file))
    const input = uploader()
    input.files = transfer.files
    input.dispatchEvent(new Event("change", { bubbles: true }))
  }

  const pasted = event => {
    const files = [...(event.clipboardData?.files ?? [])]
    const target = event.composedPath()[0]
    const types = target.matches?.("input, textarea, [contenteditable]")
    if (!files.length || (types && event.clipboardData.getData("text/plain"))) return
    event.preventDefault()
    // What was copied as pixels is called image.png, always; a copied file keeps its name.
    give(files.map(file => (file.name === "image.png" ? named(file) : file)))
  }

  document.removeEventListener("paste", listeners.get(parentElement))
  document.addEventListener("paste", pasted)
  listeners.set(parentElement, pasted)

  button.textContent = data.words.button
  button.title = data.words.help
  button.onclick = async () => {
    try {
      const files = []
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find(one => one.startsWith("image/"))
        if (type) files.push(named(await item.getType(type)))
      }
      if (files.length) await give(files)
      else message.textContent = data.words.none
    } catch (error) {
      console.error(error)
      message.textContent = data.words.refused
    }
  }
  return () => document.removeEventListener("paste", listeners.get(parentElement))
}
