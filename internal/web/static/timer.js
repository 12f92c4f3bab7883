// A clock that counts down, for those who want one. It says little aloud: the
// last minute and the end.

/** timer wires a timer; it starts when minutes are chosen. */
export function timer(part) {
  const select = part.querySelector("[data-minutes]");
  const clock = part.querySelector("[data-clock]");
  const says = part.querySelector("[data-timer-says]");
  let ends = 0;
  let tick = 0;
  let told = "";
  const tell = (text) => {
    if (text !== told) says.textContent = told = text;
  };
  const show = () => {
    const left = Math.round((ends - Date.now()) / 1000);
    const size = Math.abs(left);
    clock.textContent = `${left < 0 ? "+" : ""}${Math.floor(size / 60)}:${String(size % 60).padStart(2, "0")}`;
    clock.classList.toggle("over", left <= 0);
    if (left <= 0) tell("Time is up.");
    else if (left <= 60) tell("One minute left.");
  };
  select.addEventListener("change", () => {
    clearInterval(tick);
    clock.textContent = "";
    tell("");
    const minutes = Number(select.value);
    if (!minutes) return;
    ends = Date.now() + minutes * 60_000;
    show();
    tick = setInterval(show, 1000);
  });
  part.hidden = false;
  /** stop ends the clock where it is. */
  return { stop: () => clearInterval(tick) };
}
