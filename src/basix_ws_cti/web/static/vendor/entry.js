import { Component, h, render } from "preact";
import htm from "htm";

// htm would keep each element without values, and use the same object at every drawing. Preact
// stores the parent in it, and so everything that was ever drawn would stay in memory: the first
// item of `this` tells htm not to keep the element.
export const html = htm.bind(function (...args) {
  this[0] = 3;
  return h(...args);
});
export { Component, render };
