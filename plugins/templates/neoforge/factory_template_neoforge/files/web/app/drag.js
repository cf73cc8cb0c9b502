/** Drags a card with mouse, pen or finger. Touch starts at the grip, so that swiping a card still scrolls the page. */

const FAR_ENOUGH = 6;
const EDGE = 48;

/** `over` hears the lane beneath the pointer (or null), `drop` the lane it was let go on; neither if it never moved. */
export function dragCard(start, card, { over, drop }) {
  if (start.button !== 0 || (start.pointerType !== "mouse" && !start.target.closest(".grip"))) return;
  const listening = new AbortController();
  let ghost = null;

  const move = (event) => {
    const far = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
    if (!ghost && far < FAR_ENOUGH) return;
    ghost ??= lift(card);
    ghost.style.translate = `${event.clientX - start.clientX}px ${event.clientY - start.clientY}px`;
    scrollAtEdge(card.closest(".board"), event.clientX);
    over(laneUnder(event));
  };
  const end = (event) => {
    listening.abort();
    if (!ghost) return;
    ghost.remove();
    card.classList.remove("lifted");
    over(null);
    if (event.type !== "pointerup") return;
    swallowClick();
    const lane = laneUnder(event);
    if (lane) drop(lane);
  };
  const keydown = (event) => event.key === "Escape" && end(event);

  const { signal } = listening;
  addEventListener("pointermove", move, { signal });
  addEventListener("pointerup", end, { signal });
  addEventListener("pointercancel", end, { signal });
  addEventListener("keydown", keydown, { signal });
}

function lift(card) {
  const { left, top, width } = card.getBoundingClientRect();
  const ghost = card.cloneNode(true);
  ghost.classList.add("ghost");
  ghost.setAttribute("aria-hidden", "true");
  ghost.inert = true;
  Object.assign(ghost.style, { left: `${left}px`, top: `${top}px`, width: `${width}px` });
  card.classList.add("lifted");
  document.body.append(ghost);
  return ghost;
}

const laneUnder = ({ clientX, clientY }) =>
  document.elementFromPoint(clientX, clientY)?.closest(".lane") ?? null;

function scrollAtEdge(board, x) {
  const { left, right } = board.getBoundingClientRect();
  if (x < left + EDGE) board.scrollLeft -= 12;
  if (x > right - EDGE) board.scrollLeft += 12;
}

/** Letting go over a link would follow it. */
function swallowClick() {
  const swallow = (event) => event.preventDefault();
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, { capture: true }));
}
