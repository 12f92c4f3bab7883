package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// graded is the result of an item, and the grade as it is for others with the
// same answer, who spend nothing.
type graded struct {
	Result
	free []byte
}

// repeated is the result for another item with the same answer.
func (g graded) repeated(item Item) Result {
	r := g.Result
	if r.Grade != nil && !r.Cached {
		r.Cached, r.Saved, r.Grade = true, r.Spent, g.free
	}
	r.Spent = judge.Usage{}
	r.Index, r.ID = item.Index, item.ID
	return r
}

// errPanic stands for a panic while an item was graded.
var errPanic = errors.New("grading panicked")

// grade grades one item, waiting and trying again for a while where that may
// help; false when the item stays pending.
func (s *shift) grade(ctx context.Context, item Item) (graded, bool) {
	name := itemName{s.claim.Ref.Key, item.Index}
	waited := time.Duration(0)
	for failures := 0; ; failures++ {
		begun := s.worker.tries.clock()
		result, err := s.once(ctx, item)
		switch {
		case err == nil:
			if result.Spent.Calls > 0 {
				s.worker.tries.succeed()
			}
			return result, true
		case errors.Is(err, errPanic):
			return graded{Result: failure(item, ReasonInternal)}, true
		case ctx.Err() != nil, errors.Is(err, ErrDraining):
			return graded{}, false
		}
		outcome := s.worker.cfg.Classify(err)
		switch outcome.Action {
		case Fail:
			s.worker.cfg.Log.InfoContext(ctx, "an item of a batch failed", "batch", s.claim.Ref.ID, "index", item.Index, "reason", outcome.Reason, "error", err)
			return graded{Result: failure(item, outcome.Reason)}, true
		case Pause:
			s.pause(ctx, outcome.Reason, err)
			return graded{}, false
		}
		if outcome.Limited {
			counted, last := s.worker.tries.count(name, begun)
			if last {
				s.worker.cfg.Log.WarnContext(ctx, "an item of a batch failed too often", "batch", s.claim.Ref.ID, "index", item.Index, "reason", outcome.Reason, "error", err)
				return graded{Result: failure(item, outcome.Reason)}, true
			}
			if counted {
				waited = 0 // the judge answers others: there is no outage to sit out elsewhere
			}
		}
		s.troubled.Store(true)
		wait := outcome.After
		if wait <= 0 {
			wait = backOff(failures)
		}
		if waited += wait; waited > patience {
			s.giveUp(later(outcome.After, s.claim.Ref.Gen))
			return graded{}, false
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.over:
		case <-s.worker.drain:
		}
		timer.Stop()
		if s.stopping(ctx) || s.lease.sure(ctx) != nil {
			return graded{}, false
		}
	}
}

// pause makes the batch wait for a person.
func (s *shift) pause(ctx context.Context, reason string, cause error) {
	s.mu.Lock()
	first := !s.paused
	s.paused = true
	s.mu.Unlock()
	s.giveUp(0)
	if !first {
		return
	}
	if err := s.worker.cfg.Store.Pause(ctx, s.claim.Ref.Key, reason); err != nil {
		s.log(ctx, "pausing a batch", err)
		s.mu.Lock()
		s.paused = false // it will be handed out again, and then paused
		s.mu.Unlock()
		s.giveUp(laterMin)
		return
	}
	s.worker.cfg.Log.WarnContext(ctx, "a batch is paused", "batch", s.claim.Ref.ID, "reason", reason, "error", cause)
}

// once grades an item. A panic is logged without the value that was panicked
// with, which may hold words of the answer.
func (s *shift) once(ctx context.Context, item Item) (made graded, err error) {
	defer func() {
		if p := recover(); p != nil {
			what := fmt.Sprintf("%T", p)
			var known runtime.Error
			if e, ok := p.(error); ok && errors.As(e, &known) {
				what = known.Error()
			}
			s.worker.cfg.Log.ErrorContext(ctx, "grading an item panicked", "batch", s.claim.Ref.ID, "index", item.Index,
				"panic", what, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	grade := func(kept bool) (graded, error) {
		req := request(&s.claim.Batch, s.question, item.Answer)
		req.Fresh = req.Fresh && !kept
		got, err := s.worker.cfg.Grader.Grade(ctx, req)
		if err != nil {
			return graded{}, err
		}
		return s.result(item, got)
	}
	if s.desk.repeats == nil {
		return grade(false)
	}
	return s.desk.repeats.ask(ctx, sumOf(s.question.Ref+" "+s.question.Digest(), item.Answer), item, grade)
}

// result makes a result of a grade.
func (s *shift) result(item Item, got grading.Result) (graded, error) {
	grade, err := got.Record.Grade()
	if err != nil {
		return graded{}, err
	}
	r := graded{free: got.Record.JSON(), Result: Result{
		Index:  item.Index,
		ID:     item.ID,
		Status: RowGraded,
		Grade:  got.Record.JSON(),
		Spent:  got.Usage,
		Cached: got.Source != grading.Miss,
		Mixed:  s.mixed(grade.Provenance),
	}}
	if grade.Status == grading.NeedsReview {
		r.Status = RowNeedsReview
	}
	if grade.ID != nil {
		r.GradeID = *grade.ID
	}
	if r.Cached {
		r.Saved = got.Record.Spent
	}
	if got.Usage != (judge.Usage{}) {
		if r.Grade, err = json.Marshal(grade.With(got.Usage)); err != nil {
			return graded{}, fmt.Errorf("encode grade: %w", err)
		}
	}
	return r, nil
}

// mixed reports whether a grade was made by other versions than the batch was
// accepted with. A worker keeps grades under its own versions, so those are
// what a grade that was kept was made with, too.
func (s *shift) mixed(p grading.Provenance) bool {
	made := s.claim.Batch.Made
	return p.Judge != made.Judge || p.PromptDigest != made.PromptDigest || s.current.Fingerprint != made.Fingerprint
}
