package server

import (
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

// The least and the most time between two looks at a running batch: a small
// batch is soon over, and a large one need not be looked at often.
const (
	leastGap = 10 * time.Millisecond
	mostGap  = 200 * time.Millisecond
)

// pace spaces the looks at a running batch: wider and wider while nothing comes
// of it, and then so that no gap is more than half of the time that the rest
// will take, as fast as it went so far. So whoever waits for the end hears of it
// at once.
type pace struct {
	began   time.Time
	pending int // then
	gap     time.Duration
}

func newPace(b *batch.Batch, now time.Time) *pace {
	return &pace{began: now, pending: b.Pending(), gap: leastGap / 2}
}

// next is how long to wait before the next look, after one that found b.
func (p *pace) next(b *batch.Batch, now time.Time) time.Duration {
	p.gap *= 2
	pending := b.Pending()
	if done := p.pending - pending; done > 0 {
		p.gap = now.Sub(p.began) / 2 * time.Duration(pending) / time.Duration(done)
	}
	p.gap = min(max(p.gap, leastGap), mostGap)
	return p.gap
}
