package batch

import (
	"sync"

	"github.com/gradus-ai/gradus/internal/grading"
)

// desks hold what the chunks of a batch share while this process works on any of
// them.
type desks struct {
	mu   sync.Mutex
	open map[Key]*desk
}

type desk struct {
	users   int
	purse   *purse   // nil where there is no limit or no costs
	repeats *repeats // nil where asking again costs nothing
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
	at.users++
	at.purse.record(b.Spent, 0)
	return at, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(d.open, b.Key)
		}
	}
}
