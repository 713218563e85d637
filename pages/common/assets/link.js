// A button that puts the address of the page, with the view in it, on the clipboard.
export default function (component) {
  const { parentElement, data } = component
  const button = parentElement.querySelector("button")
  button.textContent = data.words.button
  button.title = data.words.help
  button.hidden = false
  const say = text => {
    button.textContent = text
    setTimeout(() => (button.textContent = data.words.button), 2500)
  }
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(window.location.href)
      say(data.words.done)
    } catch (error) {
      console.error(error)
      window.prompt(data.words.help, window.location.href)
    }
  }
}
