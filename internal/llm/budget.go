package llm

import (
	"sync"
	"time"
)

// Budget bounds the retries of all calls together, so that an outage is not
// met with several times the load: a share of the calls made, and a small rate
// that lets a quiet service retry at all. (The figures of Finagle's retry
// budgets: 20 % and 10 a second, kept for ten seconds.)
type Budget struct {
	mu      sync.Mutex
	credit  float64
	updated time.Time

	share     float64
	perSecond float64
}

// budgetKept is how many seconds of the minimum rate can be saved up.
const budgetKept = 10

// NewBudget allows share retries a call (0.2 is one in five) and perSecond
// more.
func NewBudget(share, perSecond float64) *Budget {
	return &Budget{share: share, perSecond: perSecond, credit: perSecond * budgetKept, updated: time.Now()}
}

// called notes a call that was not a retry.
func (b *Budget) called() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.earn()
	b.credit = min(b.credit+b.share, b.most())
}

// spend takes one retry from the budget; false when there is none left.
func (b *Budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.earn()
	if b.credit < 1 {
		return false
	}
	b.credit--
	return true
}

func (b *Budget) earn() {
	now := time.Now()
	b.credit = min(b.credit+b.perSecond*now.Sub(b.updated).Seconds(), b.most())
	b.updated = now
}

// most is at least one retry, else a small share could never be saved up.
func (b *Budget) most() float64 { return max(1, b.perSecond*budgetKept) }
