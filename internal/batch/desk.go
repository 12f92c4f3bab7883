package batch

import (
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
)

// deskTime is how long a desk stays open when no chunk of its batch is worked on:
// the next may be on its way.
const deskTime = 30 * time.Second

// desks hold what the chunks of a batch share while this process works on them.
type desks struct {
	mu   sync.Mutex
	open map[Key]*desk
}

type desk struct {
	users   int
	closing *time.Timer // while there are none
	purse   *purse      // nil where there is no limit or no costs
	repeats *repeats    // nil where asking again costs nothing
}

// of opens the desk of a batch; leave gives it back.
func (d *desks) of(b *Batch) (_ *desk, leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.open[b.Key]
	if at == nil {
		at = &desk{}
		if b.Options.Judge == grading.Model {
			at.purse, at.repeats = newPurse(b), &repeats{fresh: b.Options.Fresh}
		}
		if d.open == nil {
			d.open = map[Key]*desk{}
		}
		d.open[b.Key] = at
	}
	if at.users++; at.closing != nil {
		at.closing.Stop()
		at.closing = nil
	}
	at.purse.record(b.Spent, 0)
	return at, func() { d.leave(b.Key, at) }
}

func (d *desks) leave(key Key, at *desk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at.users--; at.users > 0 || d.open[key] != at {
		return
	}
	at.closing = time.AfterFunc(deskTime, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if at.users == 0 && d.open[key] == at {
			delete(d.open, key)
		}
	})
}

// close forgets a batch that is over.
func (d *desks) close(key Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, key)
}
