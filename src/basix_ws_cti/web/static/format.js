// Numbers, durations, times of day, and names, as texts.

import { t } from "./texts.js";

const HOUR = 3600;
const DAY = 86_400;
const MAX_NAME = 200;

// Return a duration as 0:07, 1:02:03, or 2 d 03:04.
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / HOUR);
  const minutes = Math.floor((whole % HOUR) / 60);
  if (whole >= DAY) {
    const time = `${two(hours % 24)}:${two(minutes)}`;
    return t("days", { days: Math.floor(whole / DAY), time });
  }
  const tail = `${two(whole % 60)}`;
  return hours ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}

// Return a share as a percentage without decimals. A share below a limit is not shown as equal to
// it: 79.6 % is 79% if 80 % is a limit.
export function percent(share, limits) {
  if (share === null || share === undefined) {
    return "–";
  }
  const rounded = Math.round(share * 100);
  const isAtLimit = limits?.some((limit) => share < limit && rounded === Math.round(limit * 100));
  return `${isAtLimit ? Math.max(0, rounded - 1) : rounded}%`;
}

export function count(number) {
  return number === null || number === undefined ? "–" : String(number);
}

const formats = new Map();

function dateFormat(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    let format;
    try {
      format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone || undefined });
    } catch {
      format = new Intl.DateTimeFormat("en-GB", options); // a zone that the browser does not know
    }
    formats.set(key, format);
  }
  return formats.get(key);
}

const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export function timeOfDay(time, zone) {
  return dateFormat(zone, { ...TIME, second: "2-digit" }).format(time);
}

export function hourMinute(time, zone) {
  return dateFormat(zone, TIME).format(time);
}

export function day(time, zone) {
  const parts = dateFormat(zone, { year: "numeric", month: "2-digit", day: "2-digit" });
  const part = Object.fromEntries(parts.formatToParts(time).map((one) => [one.type, one.value]));
  return `${part.year}-${part.month}-${part.day}`;
}

// Return a time of day, with the date unless that is the day of `now`.
export function moment(time, now, zone) {
  const clock = timeOfDay(time, zone);
  return day(time, zone) === day(now, zone) ? clock : `${day(time, zone)} ${clock}`;
}

// Return a name that others wrote: cut, and with control characters and characters that change the
// direction of writing as escapes.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function plain(text) {
  const escape = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return String(text ?? "").slice(0, MAX_NAME).replace(UNPRINTABLE, escape);
}
