package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// errSkipped says that the shared store was not asked, because it has not been
// answering.
var errSkipped = errors.New("the shared store is not answering and was skipped")

const (
	// tripAfter failures in a row the shared store is skipped. Each has cost
	// some request its whole budget.
	tripAfter = 3
	// While it is skipped, a probe in the background asks whether it is back,
	// first after probeFirst, then ever less often.
	probeFirst = 250 * time.Millisecond
	probeMost  = 2 * time.Second
)

// breaker keeps requests away from a shared store that does not answer. No
// request has to find out that it is back: a probe does.
type breaker struct {
	ping   func(context.Context) error
	budget time.Duration
	log    *slog.Logger

	failures atomic.Int32
	open     atomic.Bool
	trips    atomic.Uint64

	ctx   context.Context
	spawn func(func())
}

func newBreaker(s *Store) *breaker {
	return &breaker{
		ping:   func(ctx context.Context) error { return s.shared.Ping(ctx).Err() },
		budget: s.cfg.Budget,
		log:    s.log,
		ctx:    s.ctx,
		spawn:  s.spawn,
	}
}

// do runs one operation within the budget, or returns errSkipped.
func (b *breaker) do(ctx context.Context, op func(context.Context) error) error {
	if b.open.Load() {
		return errSkipped
	}
	limited, cancel := context.WithTimeout(ctx, b.budget)
	defer cancel()
	err := op(limited)
	switch {
	case err == nil || isReply(err):
		// Even an error reply was a prompt reply.
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
	case ctx.Err() != nil:
		// The caller gave up: that says nothing about the store.
	case b.failures.Add(1) >= tripAfter:
		b.trip(err)
	}
	return err
}

func (b *breaker) trip(err error) {
	if b.ctx.Err() != nil || !b.open.CompareAndSwap(false, true) {
		return
	}
	b.trips.Add(1)
	b.log.Warn("the shared store is not answering: grading goes on without it", "error", err)
	b.spawn(b.heal)
}

// heal probes until the store answers, then lets requests through again.
func (b *breaker) heal() {
	since := time.Now()
	for wait := probeFirst; ; wait = min(2*wait, probeMost) {
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		ctx, cancel := context.WithTimeout(b.ctx, b.budget)
		err := b.ping(ctx)
		cancel()
		// A store that is still loading answers, but with an error.
		if err == nil {
			b.failures.Store(0)
			b.open.Store(false)
			b.log.Info("the shared store answers again", "after", time.Since(since).Round(time.Millisecond))
			return
		}
	}
}
