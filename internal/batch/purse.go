package batch

import (
	"context"
	"sync"

	"github.com/gradus-ai/gradus/internal/judge"
)

// purse keeps a batch from spending more than it may, as far as this process
// knows. Near the limit it lets in only as many answers as fit if each costs as
// much as the dearest so far; until one has been paid for, one at a time, if what
// it is estimated to cost fits. So a batch goes beyond its limit only by what an
// answer costs more than all before it did, or several processes do not know of
// each other yet.
type purse struct {
	limit float64

	mu       sync.Mutex
	recorded float64 // by the store
	own      float64 // not yet recorded
	inFlight int
	dearest  float64       // answer, 0 until one was paid for
	changed  chan struct{} // closed with the next change
}

// newPurse is the purse of a batch, nil where it has no limit.
func newPurse(b *Batch) *purse {
	if b.Options.MaxCost == nil {
		return nil
	}
	u := &purse{limit: *b.Options.MaxCost, changed: make(chan struct{})}
	if spent := dollars(b.Spent); spent > 0 { // what others have learnt
		u.dearest = spent / float64(max(b.Graded+b.NeedsReview-b.Cached, 1))
	}
	return u
}

// dollars is a known cost, or 0.
func dollars(u judge.Usage) float64 {
	if u.CostUSD == nil {
		return 0
	}
	return *u.CostUSD
}

// take waits until another answer may be paid for, and reports whether there is
// money left for it. estimate is what it may cost, in dollars, where nothing is
// known yet. After true, give must be called. The error is the context's.
func (u *purse) take(ctx context.Context, estimate func() float64) (bool, error) {
	if u == nil {
		return true, nil
	}
	for {
		u.mu.Lock()
		spent := u.recorded + u.own
		price, known := u.dearest, u.dearest > 0
		if !known && u.inFlight == 0 {
			price = estimate()
		}
		fits := spent < u.limit && spent+float64(u.inFlight+1)*price <= u.limit
		switch {
		case fits && (known || u.inFlight == 0):
			u.inFlight++
			u.mu.Unlock()
			return true, nil
		case u.inFlight == 0, spent >= u.limit:
			u.mu.Unlock()
			return false, nil
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
	cost := dollars(spent)
	u.own += cost
	u.dearest = max(u.dearest, cost)
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
