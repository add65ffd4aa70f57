// Sizes, times and events as texts.

export function sizeText(bytes) {
  const mib = bytes / 2 ** 20;
  return mib < 0.01 ? "less than 0.01 MiB" : `${mib.toFixed(2)} MiB`;
}

export function timeText(time) {
  const format = { year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  return new Date(time).toLocaleString("en", format);
}

const UNITS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

// Returns "in 23 hours". `now` is in milliseconds, by the clock of the server.
export function untilText(time, now) {
  const seconds = (new Date(time).getTime() - now) / 1000;
  if (seconds < 60) return "in less than a minute";
  const [unit, length] = UNITS.find(([, length], index) => seconds >= 2 * length || index === UNITS.length - 1);
  const count = Math.floor(seconds / length);
  return `in ${count} ${unit}${count === 1 ? "" : "s"}`;
}

export function sentenceCase(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function eventText(event) {
  const what = sentenceCase(event.what);
  return event.detail ? `${what}: ${event.detail}` : what;
}
