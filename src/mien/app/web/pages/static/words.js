// What a view means, in words. "An expression like …", and how sure; never what somebody feels.

const PRESENCE = {
  waiting: "Looking for your face.",
  away: "Your face is out of view.",
  lost: "Nobody is read. Point at your own face to go on.",
  crowd: "More than one face is in view, so nobody is read.",
};

export function sentence(view) {
  if (!view.own) return PRESENCE[view.presence] ?? PRESENCE.away;
  if (view.own.unmeasurable) return `Not measurable: ${view.own.unmeasurable}.`;
  if (!view.own.bars) return "Reading …";
  if (!view.own.held) return "Uncertain: no expression stands out.";
  return `An expression like ${view.own.held}, ${percent(view.own.sure)} sure.`;
}

export function couldBe(view) {
  if (!view.own?.candidates.length) return "";
  const names = view.own.candidates;
  const listed = names.length > 1 ? `${names.slice(0, -1).join(", ")} or ${names.at(-1)}` : names[0];
  return `It could be ${listed}: such a set holds the right word for about ${percent(view.own.coverage)} of faces.`;
}

export function percent(share) { return `${Math.round(100 * share)}\u00a0%`; }
