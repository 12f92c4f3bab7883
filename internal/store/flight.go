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
	cancel context.CancelFunc
	// wake is told when something happened to the grade in another process.
	wake chan struct{}
	// done is closed once record, source and err are final.
	done   chan struct{}
	record *grading.Record
	source grading.Source
	err    error
	// recalled says that a hit came from memory after all.
	recalled bool
	// claimed is set by the one caller that a miss was computed for.
	claimed atomic.Bool

	// Guarded by Store.mu. stale says that what the flight holds may have been
	// forgotten or replaced meanwhile, and must not go into the memory cache.
	waiters int
	stale   bool
}

type work func(context.Context, *flight) (*grading.Record, grading.Source, error)

var (
	errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)
	errExited = errors.New("compute grade: the computation ended without a result")
)

// share joins the flight for a key, or starts it, and waits for its end or the
// caller's.
func (s *Store) share(ctx context.Context, key grading.Key, m mode, run work) (*grading.Record, grading.Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	f, r, err := s.join(ctx, flightKey{key, m}, run)
	if err != nil {
		return nil, "", err
	}
	if r != nil {
		s.stats.memoryHits.Add(1)
		return r, grading.Hit, nil
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

// join finds or starts a flight. It returns a record instead when the memory
// cache got it since the caller looked.
func (s *Store) join(ctx context.Context, k flightKey, run work) (*flight, *grading.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	f := s.flights[k]
	if f == nil && k.mode == fetching && s.shared == nil {
		// Nothing is kept in memory or elsewhere, so a refresh is as good.
		f = s.flights[flightKey{k.key, refreshing}]
	}
	if f == nil {
		if k.mode != refreshing && s.live.Load() {
			if r := s.memory.get(k.key); r != nil {
				return nil, r, nil
			}
		}
		// The work has the first caller's values (a request id), not its end.
		runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{
			flightKey: k,
			cancel:    cancel,
			wake:      make(chan struct{}, 1),
			done:      make(chan struct{}),
			err:       errExited,
		}
		s.flights[k] = f
		s.airborne.Add(1)
		go s.fly(runCtx, f, run)
	}
	f.waiters++
	return f, nil, nil
}

func (s *Store) fly(ctx context.Context, f *flight, run work) {
	defer func() {
		s.mu.Lock()
		if s.flights[f.flightKey] == f {
			delete(s.flights, f.flightKey)
		}
		s.mu.Unlock()
		f.cancel()
		close(f.done)
		s.airborne.Done()
	}()
	f.record, f.source, f.err = run(ctx, f)
	if f.err != nil && s.ctx.Err() != nil {
		f.err = errClosed // rather than a cancellation that no caller asked for
	}
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
