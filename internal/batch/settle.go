package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
)

const (
	// flushEvery is how long a result waits for others to be kept with it: short
	// enough to be live, long enough that the store has little to do.
	flushEvery = 100 * time.Millisecond
	// keepAttempt bounds one try to keep results.
	keepAttempt = 5 * time.Second
	// lastWords is how long results are still tried to be kept after a context
	// has ended.
	lastWords = 3 * time.Second
)

// collect keeps results as they come, several at a time, and gives the claim up
// when there are no more.
func (s *shift) collect(ctx, working context.Context, end func(error)) error {
	var ready []Result
	var flush <-chan time.Time
	for {
		select {
		case result, more := <-s.results:
			if !more {
				return s.finish(ctx, working, ready)
			}
			ready = append(ready, result)
			if flush == nil {
				flush = time.After(flushEvery)
			}
		case <-flush:
			flush = nil
			progress, err := s.keep(ctx, working, ready, false)
			if err != nil {
				end(err)
				return err
			}
			ready = nil
			if progress.Finished {
				return nil // the claim ended with the batch
			}
		}
	}
}

// finish keeps the last results and hands the chunk out again where items are
// left.
func (s *shift) finish(ctx, working context.Context, ready []Result) error {
	if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
		if errors.Is(cause, ErrLost) {
			s.forget(ctx, ready)
		}
		return cause // lost, or the store has been away for too long
	}
	if s.later > 0 || s.paused {
		s.worker.hearth.douse(s.hearth) // who comes back feels the way with one answer
	}
	progress, err := s.keep(ctx, working, ready, true)
	if err != nil || progress.Again == nil || s.paused {
		return err
	}
	again := *progress.Again
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if s.later > 0 {
		err = s.worker.cfg.Queue.EnqueueAfter(ctx, s.later, again)
	} else {
		err = s.worker.cfg.Queue.Enqueue(ctx, again)
	}
	if err == nil {
		err = s.worker.cfg.Store.Enqueued(ctx, again)
	}
	if err != nil { // a Keeper will do it
		s.log(ctx, "handing a chunk out again", err)
	}
	return nil
}

// keep has the store keep results. They are paid for: while the claim may live
// a store that does not answer is asked again, even after ctx has ended, but
// then for lastWords only.
func (s *shift) keep(ctx, working context.Context, results []Result, done bool) (*Progress, error) {
	detached := context.WithoutCancel(ctx)
	var until time.Time
	for failures := 0; ; failures++ {
		attempt, cancel := context.WithTimeout(detached, keepAttempt)
		progress, err := s.worker.cfg.Store.Complete(attempt, s.claim, results, done)
		cancel()
		if err == nil {
			ours := 0.0
			for _, r := range results {
				ours += dollars(r.Spent)
			}
			s.desk.purse.record(progress.Batch.Spent, ours)
			if s.worker.cfg.Kept != nil {
				s.worker.cfg.Kept(results)
			}
			if progress.Finished {
				s.worker.desks.close(s.claim.Ref.Key)
			}
			return progress, nil
		}
		if errors.Is(err, ErrLost) {
			s.forget(detached, results)
			return nil, ErrLost
		}
		if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
			return nil, cause
		}
		if ctx.Err() != nil && until.IsZero() {
			until = s.worker.cfg.Now().Add(lastWords)
		}
		if s.lease.age() > holdOn || !until.IsZero() && !s.worker.cfg.Now().Before(until) {
			return nil, fmt.Errorf("keep results: %w", err)
		}
		wait := time.NewTimer(min(100*time.Millisecond<<min(failures, 4), renewAgain))
		select {
		case <-wait.C:
		case <-working.Done():
			if ctx.Err() != nil {
				<-wait.C
			}
		}
		wait.Stop()
	}
}

// forget erases the grades that were made for a batch which was cancelled or
// purged meanwhile: whoever purges it cannot know of them.
func (s *shift) forget(ctx context.Context, results []Result) {
	if s.worker.cfg.Forget == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	b, err := s.worker.cfg.Store.Get(ctx, s.claim.Ref.Key)
	if err == nil && b.Status != Cancelled || err != nil && !errors.Is(err, ErrNotFound) {
		return // another worker has the chunk, and use for the grades
	}
	s.worker.desks.close(s.claim.Ref.Key)
	for _, r := range results {
		if r.GradeID == "" || r.Cached {
			continue
		}
		if err := s.worker.cfg.Forget(ctx, grading.Key{Tenant: s.claim.Ref.Tenant, ID: r.GradeID}); err != nil {
			s.log(ctx, "forgetting a grade", err)
		}
	}
}
