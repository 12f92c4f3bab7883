package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/gradus-ai/gradus/internal/grading"
)

// mode is what a flight is for; requests share a flight only of their own mode.
type mode uint8

const (
	fetching   mode = iota // look up, else compute
	refreshing             // compute and replace
	getting                // look up only
	modes
)

type flightKey struct {
	key  grading.Key
	mode mode
}

// flight is one piece of work that any number of callers wait for. It ends
// early only when the last of them has gone.
type flight struct {
	flightKey
	// wake is told when something happened to the grade in another process.
	wake chan struct{}
	// done is closed once the outcome is final.
	done chan struct{}
	outcome
	// recalled says that a hit came from memory after all.
	recalled bool
	// claimed is set by the one caller that a miss was computed for.
	claimed atomic.Bool

	// Guarded by Store.mu. cancel is nil until the flight has a goroutine of
	// its own. stale says that what the flight holds may have been forgotten or
	// replaced meanwhile, and must not go into the memory cache.
	cancel  context.CancelFunc
	waiters int
	stale   bool
}

// steps are what a flight does.
type steps struct {
	// look asks the shared store, in the goroutine of the caller that starts
	// the flight: a hit then costs no change of goroutine. It may be nil, and
	// takes no longer than the store's budget, whatever becomes of the caller.
	// It reports false if there is more to do.
	look func(context.Context, *flight) (outcome, bool)
	// run does the rest, in a goroutine of its own. seen is what look found
	// out.
	run func(ctx context.Context, f *flight, seen error) outcome
}

// outcome is how a flight ends. err without a record may also be what look
// leaves for run to consider.
type outcome struct {
	record *grading.Record
	source grading.Source
	err    error
}

var (
	errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)
	errExited = errors.New("compute grade: the computation ended without a result")
)

// share joins the flight for a key, or starts it, and waits for its end or the
// caller's.
func (s *Store) share(ctx context.Context, key grading.Key, m mode, do steps) (*grading.Record, grading.Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	f, r, first, err := s.join(flightKey{key, m})
	if err != nil {
		return nil, "", err
	}
	if r != nil {
		s.stats.memoryHits.Add(1)
		return r, grading.Hit, nil
	}
	if first {
		s.begin(ctx, f, do)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		select {
		case <-f.done: // both: the result is there, so have it
		default:
			s.leave(f)
			return nil, "", ctx.Err()
		}
	}
	if f.err != nil {
		return nil, "", f.err
	}
	source := f.source
	if source == grading.Miss && !f.claimed.CompareAndSwap(false, true) {
		source = grading.Shared
	}
	s.stats.count(source, f.recalled)
	return f.record, source, nil
}

// join finds a flight, or makes one for the caller to begin. It returns a
// record instead when the memory cache got it since the caller looked.
func (s *Store) join(k flightKey) (f *flight, r *grading.Record, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, nil, false, errClosed
	}
	f = s.flights[k]
	if f == nil && k.mode == fetching && s.shared == nil {
		// Nothing is kept in memory or elsewhere, so a refresh is as good.
		f = s.flights[flightKey{k.key, refreshing}]
	}
	if f == nil {
		if k.mode != refreshing && s.live.Load() {
			if r := s.memory.get(k.key); r != nil {
				return nil, r, false, nil
			}
		}
		f = &flight{
			flightKey: k,
			wake:      make(chan struct{}, 1),
			done:      make(chan struct{}),
			outcome:   outcome{err: errExited},
		}
		s.flights[k] = f
		s.airborne.Add(1)
		first = true
	}
	f.waiters++
	return f, nil, first, nil
}

// begin does the steps of a flight, or sees them begun. They have the first
// caller's values (a request id), not its end.
func (s *Store) begin(ctx context.Context, f *flight, do steps) {
	ctx = context.WithoutCancel(ctx)
	var seen error
	if do.look != nil {
		o, done := do.look(ctx, f)
		if done {
			s.land(f, o)
			return
		}
		seen = o.err
	}
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		s.land(f, outcome{err: errClosed})
		return
	}
	ctx, f.cancel = context.WithCancel(ctx)
	s.mu.Unlock()
	go func() {
		o := f.outcome // stands if run exits the goroutine
		defer func() {
			if o.err != nil && s.ctx.Err() != nil {
				o = outcome{err: errClosed} // rather than a cancellation that no caller asked for
			}
			s.land(f, o)
		}()
		o = do.run(ctx, f, seen)
	}()
}

// land ends a flight.
func (s *Store) land(f *flight, o outcome) {
	s.mu.Lock()
	if s.flights[f.flightKey] == f {
		delete(s.flights, f.flightKey)
	}
	if f.cancel != nil {
		f.cancel()
	}
	s.mu.Unlock()
	f.outcome = o
	close(f.done)
	s.airborne.Done()
}

// leave takes one caller off a flight. The last to leave ends it, and whoever
// comes after that starts anew.
func (s *Store) leave(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if s.flights[f.flightKey] == f {
		delete(s.flights, f.flightKey)
	}
	// The caller that starts a flight looks first and leaves later, so by the
	// time that all have left there is something to cancel.
	f.cancel()
}

// renew says that the flight is about to read the grade as it is now. It
// returns whether anything had happened to the grade before.
func (s *Store) renew(f *flight) (stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale, f.stale = f.stale, false
	return stale
}

// compute runs the caller's computation and turns a panic into an error for
// all who wait. Neither the error nor the log repeats the panic's value, which
// may hold words of the answer.
func (s *Store) compute(ctx context.Context, compute func(context.Context) (*grading.Record, error)) (r *grading.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("compute grade: panic")
			what := slog.String("panic", fmt.Sprintf("%T", p))
			var known runtime.Error
			if e, ok := p.(error); ok && errors.As(e, &known) {
				what = slog.String("panic", known.Error())
			}
			s.log.ErrorContext(ctx, "computing a grade panicked", what, "stack", string(debug.Stack()))
		}
	}()
	if r, err = compute(ctx); err == nil && r == nil {
		err = errors.New("compute grade: there is none")
	}
	return r, err
}
