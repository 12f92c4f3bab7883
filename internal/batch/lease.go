package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// renewEvery is how often a claim is renewed, and renewAgain how soon where
	// the store did not answer.
	renewEvery = LeaseTime / 3
	renewAgain = time.Second
	// holdOn is how long a worker goes on without an answer of the store. A lease
	// that has run out meanwhile may still be renewed: while the store was away
	// nobody could take it, and when it is back a Keeper waits before it does.
	holdOn = 3 * LeaseTime
)

// lease keeps a claim for as long as its worker works.
type lease struct {
	store Store
	claim *Claim
	now   func() time.Time

	mu      sync.Mutex
	renewed time.Time
	again   chan struct{} // closed when it is renewed
}

func newLease(store Store, claim *Claim, now func() time.Time) *lease {
	return &lease{store: store, claim: claim, now: now, renewed: now(), again: make(chan struct{})}
}

// keep renews until ctx ends. When the claim is lost, or the store has been
// away for too long, it ends the work with that error.
func (l *lease) keep(ctx context.Context, end func(error)) {
	timer := time.NewTimer(renewEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := renewEvery
		began := l.now()
		attempt, cancel := context.WithTimeout(ctx, renewEvery)
		err := l.store.Renew(attempt, l.claim)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			l.extend(began)
		case errors.Is(err, ErrLost):
			end(ErrLost)
			return
		case l.age() > holdOn:
			end(fmt.Errorf("renew the claim: %w", err))
			return
		default:
			next = renewAgain
		}
		timer.Reset(next)
	}
}

func (l *lease) extend(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = at
	close(l.again)
	l.again = make(chan struct{})
}

// age is how long ago the claim was last known to be ours.
func (l *lease) age() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Sub(l.renewed)
}

// sure waits while the claim may have run out: nothing is begun that may have to
// be thrown away. The error is the context's.
func (l *lease) sure(ctx context.Context) error {
	for {
		l.mu.Lock()
		again, fresh := l.again, l.now().Sub(l.renewed) < LeaseTime
		l.mu.Unlock()
		if fresh || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-again:
		case <-ctx.Done():
		}
	}
}
