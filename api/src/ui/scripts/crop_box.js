// A square on a picture that is moved and resized by pointer, by touch and by keyboard. Its numbers are pixels of the
// space that the picture has, whatever its size on the screen is.

export class CropBox {
  // `stage` shows the picture, `box` is the square in it with a grip at each corner. `onChange` gets the square.
  constructor({ stage, box, onChange }) {
    Object.assign(this, { stage, box, onChange, width: 1, height: 1, square: { x: 0, y: 0, side: 1 }, drag: null });
    box.addEventListener("pointerdown", (event) => this.startDrag(event));
    box.addEventListener("pointermove", (event) => this.continueDrag(event));
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => (this.drag = null));
    box.addEventListener("keydown", (event) => this.pressKey(event));
  }

  // A picture of this size. The square is the largest one, in the centre.
  setSpace(width, height) {
    Object.assign(this, { width, height });
    const side = Math.min(width, height);
    this.set({ x: (width - side) / 2, y: (height - side) / 2, side });
  }

  // Moves the square into the picture if it is outside.
  set({ x, y, side }) {
    const most = Math.min(this.width, this.height);
    const least = Math.min(8, most);
    side = Math.max(least, Math.min(most, Math.round(side) || least));
    x = Math.max(0, Math.min(this.width - side, Math.round(x) || 0));
    y = Math.max(0, Math.min(this.height - side, Math.round(y) || 0));
    this.square = { x, y, side };
    const style = this.box.style;
    style.left = `${(100 * x) / this.width}%`;
    style.top = `${(100 * y) / this.height}%`;
    style.width = `${(100 * side) / this.width}%`;
    style.height = `${(100 * side) / this.height}%`;
    const where = `${x} pixels from the left, ${y} from the top, side ${side}`;
    this.box.setAttribute("aria-label", `Selected square: ${where}`);
    this.onChange(this.square);
  }

  startDrag(event) {
    if (event.button > 0) return;
    this.drag = { grip: event.target.dataset.grip, x: event.clientX, y: event.clientY, from: this.square };
    this.box.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.box.focus({ preventScroll: true });
  }

  continueDrag(event) {
    if (!this.drag) return;
    const scale = this.width / this.stage.clientWidth;
    const [right, down] = [(event.clientX - this.drag.x) * scale, (event.clientY - this.drag.y) * scale];
    const { from, grip } = this.drag;
    if (grip) this.resize(from, grip, right, down);
    else this.set({ ...from, x: from.x + right, y: from.y + down });
  }

  // Pulls one corner. The opposite corner stays.
  resize(from, grip, right, down) {
    const west = grip.includes("w");
    const north = grip.includes("n");
    const more = Math.max(west ? -right : right, north ? -down : down);
    const roomX = west ? from.x + from.side : this.width - from.x;
    const roomY = north ? from.y + from.side : this.height - from.y;
    const side = Math.max(8, Math.min(roomX, roomY, from.side + more));
    this.set({ x: west ? from.x + from.side - side : from.x, y: north ? from.y + from.side - side : from.y, side });
  }

  // The arrow keys move the square. With Shift they resize it, and with Ctrl or Alt the step is one pixel.
  pressKey(event) {
    const step = event.ctrlKey || event.altKey ? 1 : Math.max(1, Math.round(Math.max(this.width, this.height) / 64));
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const sizes = { "+": 1, "=": 1, "-": -1, _: -1 };
    const { x, y, side } = this.square;
    const arrow = arrows[event.key];
    if (arrow && event.shiftKey) this.resize(this.square, "se", ...this.growth(arrow, step));
    else if (arrow) this.set({ x: x + arrow[0] * step, y: y + arrow[1] * step, side });
    else if (sizes[event.key]) this.set({ x, y, side: side + sizes[event.key] * step });
    else return;
    event.preventDefault();
  }

  // The corner moves along both sides, because the square stays a square.
  growth([right, down], step) {
    const by = (right + down) * step;
    return [by, by];
  }
}
