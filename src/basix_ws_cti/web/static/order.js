// Places of rows that come and go: a row stays where it is while it exists.

// Free places are closed when there are at least so many, and more than a third of all.
const MANY_FREE = 3;

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
    const freed = this.keys.length - keys.length;
    if (freed >= MANY_FREE && freed * 3 > this.keys.length) {
      this.close();
    }
    return this.keys;
  }

  // Remove the free places.
  close() {
    this.keys = this.keys.filter((key) => key !== null);
  }
}
