
// Shows the hint of a tile at once and beside the pointer, instead of late like the browser's own.
const hint = document.getElementById("hint");
document.addEventListener("mousemove", (event) => {
  const tile = event.target.closest?.("g");
  hint.hidden = !tile;
  if (!tile) return;
  const title = tile.querySelector("title");
  if (title) {
    tile.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  hint.textContent = tile.getAttribute("aria-label");
  const left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8);
  const below = event.clientY + 18;
  const fits = below + hint.offsetHeight + 8 < innerHeight;
  hint.style.left = `${Math.max(left, 8)}px`;
  hint.style.top = `${fits ? below : event.clientY - hint.offsetHeight - 12}px`;
});
document.addEventListener("mouseleave", () => { hint.hidden = true; });
// The key to leave a part.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("section:target h1 a:last-of-type")?.click();
});
