// The state document: a snapshot, and the updates since.

const TABLES = ["queues", "agents", "calls", "parked"];

export class Store {
  constructor() {
    this.doc = null;
  }

  // Replace everything by a snapshot.
  replace(snapshot) {
    this.doc = snapshot;
  }

  // Apply an update. Return false if frames are missing, so that a snapshot is needed.
  //
  // A row that has changed is a new object, and all others stay the same objects: a component whose
  // row is the same need not be drawn again.
  update(frame) {
    if (!this.doc || frame.seq !== this.doc.seq + 1) {
      return false;
    }
    for (const [name, value] of Object.entries(frame)) {
      if (TABLES.includes(name)) {
        for (const key of value.gone || []) {
          delete this.doc[name][key];
        }
        Object.assign(this.doc[name], value.set);
      } else {
        this.doc[name] = value;
      }
    }
    return true;
  }

  // Take a heartbeat. Return false if frames before it are missing.
  beat({ seq, time }) {
    if (!this.doc || seq !== this.doc.seq + 1) {
      return false;
    }
    this.doc.seq = seq;
    this.doc.time = time;
    return true;
  }
}
