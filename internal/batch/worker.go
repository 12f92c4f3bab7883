package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// WorkerConfig is what a Worker is made of. All of it but Forget is required.
type WorkerConfig struct {
	Store  Store
	Queue  Queue
	Grader Grader
	// Classify says what an error of the Grader means. It is not asked about
	// errors of a context that has ended.
	Classify func(error) Outcome
	// Versions is as in Config.
	Versions func(judge string) (Versions, error)
	// Estimate is as in Kept.
	Estimate func(req grading.Request, warm bool) (judge.Usage, error)
	// Forget erases a kept grade: one made for a batch that was cancelled or
	// purged before the result could be noted.
	Forget func(ctx context.Context, key grading.Key) error
	// Kept, where set, hears of results once they are kept. It must be quick.
	Kept func([]Result)
	// Name tells this process from others that work on the same Store.
	Name string
	Now  func() time.Time
	Log  *slog.Logger
}

// Worker works on chunks. It is safe for concurrent use: how many chunks are
// worked on at once is the queue's business, and how many answers are judged at
// once that of the judges (judge.Gate).
type Worker struct {
	cfg    WorkerConfig
	hearth hearth
	desks  desks
	tries  tries
	unfit  firsts

	mu     sync.Mutex // nothing is begun after drain is closed
	drain  chan struct{}
	active sync.WaitGroup
}

// NewWorker makes a Worker.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Store == nil || cfg.Queue == nil || cfg.Grader == nil || cfg.Classify == nil ||
		cfg.Versions == nil || cfg.Estimate == nil || cfg.Name == "" || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("a batch worker needs a store, a queue, a grader, estimates, a name, a clock and a log")
	}
	return &Worker{cfg: cfg, drain: make(chan struct{})}, nil
}

// Drain makes the worker begin nothing more: items in flight are finished, and
// the rest of their chunks goes back to the queue at once. It does not wait;
// the calls of Handle return.
func (w *Worker) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.drain:
	default:
		close(w.drain)
	}
}

// Draining reports whether the worker begins nothing more. A judge that an item
// had to wait for may ask, and refuse it with ErrDraining: the item stays pending.
func (w *Worker) Draining() bool {
	select {
	case <-w.drain:
		return true
	default:
		return false
	}
}

// Wait drains the worker and waits until every call of Handle has returned, so
// that what was paid for is kept before the process ends; or until ctx ends,
// whose error it returns.
func (w *Worker) Wait(ctx context.Context) error {
	w.Drain()
	idle := make(chan struct{})
	go func() { w.active.Wait(); close(idle) }()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin notes that a chunk is worked on, unless the worker drains.
func (w *Worker) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.drain:
		return false
	default:
		w.active.Add(1)
		return true
	}
}

// Handle works on a chunk and returns nil when nothing is left to do about it:
// it is done, or was handed out again, or is no business of this worker's. After
// an error the queue should bring it again: ErrDraining, or the store's.
//
// When ctx ends, items in flight are given up and stay pending; what is done is
// still kept, for which Handle takes some seconds.
func (w *Worker) Handle(ctx context.Context, ref Ref) error {
	if !w.begin() {
		return ErrDraining
	}
	defer w.active.Done()
	claim, err := w.cfg.Store.Claim(ctx, ref, w.cfg.Name)
	switch {
	case errors.Is(err, ErrLost):
		return nil
	case err != nil:
		return fmt.Errorf("claim chunk %d of batch %s: %w", ref.Chunk, ref.ID, err)
	}
	err = newShift(w, claim).work(ctx)
	switch {
	case errors.Is(err, ErrLost):
		w.cfg.Log.InfoContext(ctx, "a chunk was lost to another worker or with its batch", "batch", ref.ID, "chunk", ref.Chunk)
		return nil
	case err != nil:
		return fmt.Errorf("work on chunk %d of batch %s: %w", ref.Chunk, ref.ID, err)
	}
	return nil
}

// triesKept bounds the items that a worker remembers to have failed.
const triesKept = 10_000

// tries counts how often single items could not be judged while others could.
type tries struct {
	mu       sync.Mutex
	failed   map[itemName]int
	answered int // items that a judge was asked about and answered
}

type itemName struct {
	batch Key
	index int
}

// clock is a moment in terms of answers.
func (t *tries) clock() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answered
}

func (t *tries) succeed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered++
}

// count counts a failure of an item that was begun at a moment, unless nobody
// was answered since: then it is no fault of the item's.
func (t *tries) count(name itemName, begun int) (counted, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.answered == begun {
		return false, false
	}
	if t.failed == nil || len(t.failed) >= triesKept {
		t.failed = map[itemName]int{} // rare enough to start over
	}
	t.failed[name]++
	if t.failed[name] < MaxTries {
		return true, false
	}
	delete(t.failed, name)
	return true, true
}

// firsts tells the first of each batch's events.
type firsts struct {
	mu   sync.Mutex
	seen map[Key]bool
}

func (f *firsts) first(key Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[key] {
		return false
	}
	if f.seen == nil || len(f.seen) >= warmKept {
		f.seen = map[Key]bool{} // rare enough to start over
	}
	f.seen[key] = true
	return true
}
