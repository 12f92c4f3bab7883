package memory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

// redeliver is how soon a ref comes again after an error.
const redeliver = time.Second

// Queue is a batch.Queue that never forgets a ref it was given, as one may that
// names tasks by them, unless it is told to.
type Queue struct {
	mu      sync.Mutex
	waiting []task
	active  map[batch.Ref]bool
	given   map[batch.Ref]bool
	order   []batch.Ref
	wake    chan struct{} // closed with the next change
	fault   error
	asked   int
}

var _ batch.Queue = (*Queue)(nil)

type task struct {
	ref batch.Ref
	due time.Time
}

// NewQueue makes an empty Queue.
func NewQueue() *Queue {
	return &Queue{active: map[batch.Ref]bool{}, given: map[batch.Ref]bool{}, wake: make(chan struct{})}
}

// FailWith makes Enqueue, EnqueueAfter, Known and Delivered fail until it is nil
// again.
func (q *Queue) FailWith(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fault = err
}

// Lose forgets everything that waits.
func (q *Queue) Lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = nil
}

// Given is every ref there was, in the order in which they were enqueued.
func (q *Queue) Given() []batch.Ref {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.order)
}

// Waiting is how many refs were not delivered yet.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Asked is how often it was asked whether it knows a ref.
func (q *Queue) Asked() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked
}

// Enqueue implements batch.Queue.
func (q *Queue) Enqueue(ctx context.Context, refs ...batch.Ref) error {
	return q.EnqueueAfter(ctx, 0, refs...)
}

// EnqueueAfter implements batch.Queue.
func (q *Queue) EnqueueAfter(_ context.Context, d time.Duration, refs ...batch.Ref) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fault != nil {
		return q.fault
	}
	for _, ref := range refs {
		if !q.given[ref] {
			q.given[ref] = true
			q.order = append(q.order, ref)
			q.waiting = append(q.waiting, task{ref, time.Now().Add(d)})
		}
	}
	q.stir()
	return nil
}

func (q *Queue) stir() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// Known implements batch.Queue.
func (q *Queue) Known(_ context.Context, ref batch.Ref) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	return q.active[ref] || slices.ContainsFunc(q.waiting, func(t task) bool { return t.ref == ref }), q.fault
}

// Delivered implements batch.Queue.
func (q *Queue) Delivered(context.Context) ([]batch.Ref, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Keys(q.active)), q.fault
}

// Drop implements batch.Queue.
func (q *Queue) Drop(_ context.Context, refs ...batch.Ref) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(t task) bool { return slices.Contains(refs, t.ref) })
	return nil
}

// Serve brings refs to handle, so many at a time, until ctx ends and every call
// has returned. What fails comes again after a second.
func (q *Queue) Serve(ctx context.Context, atOnce int, handle func(context.Context, batch.Ref) error) {
	var running sync.WaitGroup
	defer running.Wait()
	for range atOnce {
		running.Go(func() {
			for {
				ref, ok := q.next(ctx)
				if !ok {
					return
				}
				err := handle(ctx, ref)
				q.mu.Lock()
				delete(q.active, ref)
				if err != nil {
					q.waiting = append(q.waiting, task{ref, time.Now().Add(redeliver)})
					q.stir()
				}
				q.mu.Unlock()
			}
		})
	}
}

// next waits for a ref that is due.
func (q *Queue) next(ctx context.Context) (batch.Ref, bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		soonest := time.Hour
		for i, t := range q.waiting {
			wait := time.Until(t.due)
			if wait <= 0 {
				q.waiting = slices.Delete(q.waiting, i, i+1)
				q.active[t.ref] = true
				q.mu.Unlock()
				return t.ref, true
			}
			soonest = min(soonest, wait)
		}
		wake := q.wake
		q.mu.Unlock()
		timer := time.NewTimer(soonest)
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return batch.Ref{}, false
}
