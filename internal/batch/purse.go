package batch

import (
	"context"
	"sync"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// purses hold what batches with a cost limit may still spend, as far as this
// process knows.
type purses struct {
	mu   sync.Mutex
	open map[Key]*purse
}

// purse keeps a batch from spending more than it may. Near the limit it lets in
// only as many answers as the mean of those before them allows, at least one:
// so a batch overshoots by about one answer for each process that works on it,
// and not by all that could be in flight.
type purse struct {
	limit float64

	mu       sync.Mutex
	users    int
	recorded float64 // by the store
	own      float64 // not yet recorded
	inFlight int
	paid     int // answers that cost something
	cost     float64
	changed  chan struct{} // closed with the next change
}

// of opens the purse of a batch, nil where it has no limit or no costs. shut
// gives it back.
func (p *purses) of(b *Batch) (_ *purse, shut func()) {
	if b.Options.MaxCost == nil || b.Options.Judge != grading.Model {
		return nil, func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[Key]*purse{}
	}
	u := p.open[b.Key]
	if u == nil {
		u = &purse{limit: *b.Options.MaxCost, changed: make(chan struct{})}
		if spent := dollars(b.Spent); spent > 0 { // what others have learnt
			u.paid, u.cost = max(b.Graded+b.NeedsReview-b.Cached, 1), spent
		}
		p.open[b.Key] = u
	}
	u.users++
	u.record(b.Spent, 0)
	return u, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if u.users--; u.users == 0 {
			delete(p.open, b.Key)
		}
	}
}

// dollars is a known cost, or 0.
func dollars(u judge.Usage) float64 {
	if u.CostUSD == nil {
		return 0
	}
	return *u.CostUSD
}

// take waits until another answer may be paid for, and reports whether there is
// money left for it. After true, give must be called. The error is the context's.
func (u *purse) take(ctx context.Context) (bool, error) {
	if u == nil {
		return true, nil
	}
	for {
		u.mu.Lock()
		spent := u.recorded + u.own
		if spent >= u.limit {
			u.mu.Unlock()
			return false, nil
		}
		mean := u.limit // until one is paid, one at a time
		if u.paid > 0 {
			mean = u.cost / float64(u.paid)
		}
		if u.inFlight == 0 || spent+float64(u.inFlight+1)*mean <= u.limit {
			u.inFlight++
			u.mu.Unlock()
			return true, nil
		}
		changed := u.changed
		u.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// give notes what an answer cost.
func (u *purse) give(spent judge.Usage) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight--
	if cost := dollars(spent); cost > 0 {
		u.own += cost
		u.cost += cost
		u.paid++
	}
	u.wake()
}

// record notes what the store says was spent, this much of it by us since.
func (u *purse) record(total judge.Usage, ours float64) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.own -= ours
	u.recorded = max(u.recorded, dollars(total))
	u.wake()
}

func (u *purse) wake() {
	close(u.changed)
	u.changed = make(chan struct{})
}
