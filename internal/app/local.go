package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/memory"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Local is a batch that is graded within this process and kept nowhere: whoever
// asked for it keeps the results as they are made.
type Local struct {
	Options batch.Options
	// Fill adds the items. place is as in batch.Draft.Add.
	Fill func(add Add) error
	// Each takes a result as it is made, in no order; one call at a time. The
	// result counts as made once Each has returned. An error ends the batch.
	Each func(batch.Result) error
	// Progress, where set, hears of the batch after every few results; one call
	// at a time.
	Progress func(batch.Batch)
	// Draining, where set, is called when ctx has ended before the batch, and
	// nothing more is begun.
	Draining func()
}

// Add adds an item to a batch; see batch.Draft.Add.
type Add func(id string, place int, q *rubric.Question, answer string) error

// PausedError ends a local batch that only a person can get going again.
type PausedError struct{ Reason string }

func (e *PausedError) Error() string {
	switch e.Reason {
	case batch.PausedModelKey:
		return "the model endpoint does not accept the key"
	case batch.PausedModelQuota:
		return "the model's quota is used up"
	default:
		return "the batch is paused: " + e.Reason
	}
}

// OutageError ends a local batch whose judge answers nothing any more. It wraps
// what the last attempt came to.
type OutageError struct{ Cause error }

func (e *OutageError) Error() string { return "gave up waiting for the judge: " + e.Cause.Error() }

// Unwrap returns what the last attempt came to.
func (e *OutageError) Unwrap() error { return e.Cause }

// When a local batch is given up: a person sits before it, who can call it again.
const (
	// hopelessFailures is how many failures in a row it takes.
	hopelessFailures = 5
	// hopelessTime is how long an outage may last, where there ever was an answer.
	hopelessTime = 3 * time.Minute
)

// GradeLocally grades a batch and returns when it is over. When ctx ends, the
// answers being graded are finished and no more are begun; the error is then
// ctx's. Whatever the error, results that were given to Each are made. Other
// errors are those of batch.Draft.Add, *PausedError, *OutageError and Each's own.
func (a *App) GradeLocally(ctx context.Context, l Local) (*batch.Batch, error) {
	q := memory.NewQueue()
	r := &localRun{Store: memory.NewStore(time.Now), Local: l, told: make(map[int]bool), answered: time.Now()}
	e, err := a.newEngine(r, q, r.classify, nil)
	if err != nil {
		return nil, err
	}
	draft, err := e.service.Begin(ctx, LocalTenant, l.Options, "")
	if err != nil {
		return nil, err
	}
	defer draft.Discard(ctx)
	if err := l.Fill(adding(ctx, draft)); err != nil {
		return nil, err
	}
	accepted, _, err := draft.Commit(ctx, "")
	if err != nil {
		return nil, err
	}
	return r.work(ctx, e, q, accepted.Key)
}

// EstimateLocally says what a batch would do, asking nobody.
func (a *App) EstimateLocally(ctx context.Context, o batch.Options, fill func(Add) error) (batch.Estimate, error) {
	e, err := a.newEngine(memory.NewStore(time.Now), memory.NewQueue(), outcome, nil)
	if err != nil {
		return batch.Estimate{}, err
	}
	draft, err := e.service.DryRun(LocalTenant, o)
	if err != nil {
		return batch.Estimate{}, err
	}
	err = fill(adding(ctx, draft))
	return draft.Estimate(), err
}

func adding(ctx context.Context, d *batch.Draft) Add {
	return func(id string, place int, q *rubric.Question, answer string) error {
		return d.Add(ctx, id, place, q, answer)
	}
}

// localRun is the store of one local batch. It passes results on before they
// count, and ends the run when something keeps it from going on.
type localRun struct {
	*memory.Store
	Local
	stop context.CancelCauseFunc // begins nothing more

	mu       sync.Mutex
	told     map[int]bool
	failures int // since the last answer
	ever     bool
	answered time.Time // last, or when the run began
}

// errOver ends the work on a batch that is over.
var errOver = errors.New("the batch is over")

// work brings chunks to the worker until the batch is over or the run is stopped.
func (r *localRun) work(ctx context.Context, e *engine, q *memory.Queue, key batch.Key) (*batch.Batch, error) {
	soft, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	serving, quit := context.WithCancel(context.WithoutCancel(ctx))
	defer quit()
	served := make(chan struct{})
	go func() {
		defer close(served)
		q.Serve(serving, chunksAhead*e.judging, e.worker.Handle)
	}()
	<-soft.Done()
	e.worker.Drain()
	if ctx.Err() != nil && r.Draining != nil {
		r.Draining()
	}
	err := e.worker.Wait(serving) // what is being graded is paid for
	quit()
	<-served
	if err != nil {
		return nil, fmt.Errorf("finish what is in progress: %w", err)
	}
	b, err := r.Get(context.WithoutCancel(ctx), key)
	if err != nil {
		return nil, fmt.Errorf("read batch %s: %w", key.ID, err)
	}
	if cause := context.Cause(soft); !b.Status.Over() && !errors.Is(cause, errOver) {
		return b, cause
	}
	return b, nil
}

// Complete passes results on, and then completes.
func (r *localRun) Complete(ctx context.Context, c *batch.Claim, results []batch.Result, done bool) (*batch.Progress, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, result := range results {
		if r.told[result.Index] {
			continue
		}
		if err := r.Each(result); err != nil {
			r.stop(err)
			// Not an error of the store, which a worker would wait out.
			return nil, fmt.Errorf("%w: %w", batch.ErrLost, err)
		}
		// The grade is where Each has put it; here it only has to be counted.
		r.told[result.Index] = true
	}
	progress, err := r.Store.Complete(ctx, c, ungraded(results), done)
	if err != nil {
		return nil, err
	}
	if len(results) > 0 {
		r.failures, r.ever, r.answered = 0, true, time.Now()
		if r.Progress != nil {
			r.Progress(progress.Batch)
		}
	}
	if progress.Finished {
		r.stop(errOver)
	}
	return progress, nil
}

// ungraded drops what would only take up memory.
func ungraded(results []batch.Result) []batch.Result {
	light := make([]batch.Result, len(results))
	for i, result := range results {
		result.Grade = nil
		light[i] = result
	}
	return light
}

// Pause ends the run: nobody is there to get it going again.
func (r *localRun) Pause(_ context.Context, _ batch.Key, reason string) error {
	r.stop(&PausedError{reason})
	return nil
}

// classify is outcome, and ends the run when there is no hope.
func (r *localRun) classify(err error) batch.Outcome {
	o := outcome(err)
	if o.Action != batch.Retry {
		return o
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
	if r.failures >= hopelessFailures && (!r.ever || time.Since(r.answered) > hopelessTime) {
		r.stop(&OutageError{err})
	}
	return o
}
