import { Component, h, render } from "preact";
import htm from "htm";
export const html = htm.bind(h);
export { Component, render };
