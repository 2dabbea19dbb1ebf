// What a view means, in words. "An expression like …", and how sure; never what somebody feels.

export const NO_ANSWER = "mien does not answer; is it still running?";

export const LOST = "Nobody is read. Point at your own face to go on.";

const PRESENCE = {
  waiting: "Looking for your face.",
  away: "Your face is out of view.",
  lost: LOST,
  crowd: "More than one face is in view, so nobody is read.",
};

export function sentence(view) {
  if (!view.own) return PRESENCE[view.presence] ?? PRESENCE.away;
  if (view.own.unmeasurable) return notMeasurable(view.own.unmeasurable);
  if (!view.own.bars) return "Reading …";
  if (!view.own.held) return "Uncertain: no expression stands out.";
  return expressionLike(view.own.held, view.own.sure);
}

export function expressionLike(name, sure) { return `An expression like ${name}, ${percent(sure)} sure.`; }

export function notMeasurable(reason) { return `Not measurable: ${reason}.`; }

// Of a reading, or of the own face in a view.
export function couldBe(read) {
  if (!read?.candidates.length) return "";
  return `It could be ${listed(read.candidates)}: such a set holds the right word for about ${percent(read.coverage)} of faces.`;
}

export function listed(names) { return names.length > 1 ? `${names.slice(0, -1).join(", ")} or ${names.at(-1)}` : names[0]; }

export function percent(share) { return `${Math.round(100 * share)}\u00a0%`; }
