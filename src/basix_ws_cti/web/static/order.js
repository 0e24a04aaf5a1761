// Places of rows that come and go: a row stays where it is while it exists.

export class Places {
  constructor() {
    this.keys = []; // key of each place; null where a row has gone
  }

  // Return the key of each place. New keys, in their order, take the first free places.
  place(keys) {
    const current = new Set(keys);
    this.keys = this.keys.map((key) => (current.has(key) ? key : null));
    const placed = new Set(this.keys);
    let free = 0;
    for (const key of keys) {
      if (!placed.has(key)) {
        while (free < this.keys.length && this.keys[free] !== null) {
          free += 1;
        }
        this.keys[free] = key;
      }
    }
    while (this.keys.length && this.keys[this.keys.length - 1] === null) {
      this.keys.pop();
    }
    return this.keys;
  }

  // Remove the free places, while nobody looks.
  close() {
    this.keys = this.keys.filter((key) => key !== null);
  }
}
